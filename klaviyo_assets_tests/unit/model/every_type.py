"""A spec with one column of every logical type: what a translator must be total over."""

from klaviyo_assets.model.spec import CURRENCY_CODE, NOT_EMPTY, Column, LogicalType, TableSpec, at_least, one_of

SPEC = TableSpec(
    name="sample",
    grain="One row per sample.",
    description="One column of every type.",
    key=("sample_id",),
    columns=(
        Column(name="sample_id", type=LogicalType.STRING, description="Id.", constraints=(NOT_EMPTY,)),
        Column(name="email", type=LogicalType.STRING, description="Personal.", personal=True, constraints=(NOT_EMPTY,)),
        Column(name="currency", type=LogicalType.STRING, description="Currency.", constraints=(CURRENCY_CODE,)),
        Column(name="channel", type=LogicalType.STRING, description="Channel.", constraints=(one_of("email", "sms"),)),
        Column(name="quantity", type=LogicalType.INTEGER, description="Quantity.", constraints=(at_least(1),)),
        Column(name="probability", type=LogicalType.FLOAT, description="Probability.", constraints=(at_least(0),)),
        Column(name="value", type=LogicalType.NUMERIC, description="Value.", constraints=(at_least(0),)),
        Column(name="is_conversion", type=LogicalType.BOOLEAN, description="Flag.", required=True),
        Column(name="occurred_on", type=LogicalType.DATE, description="Day."),
        Column(name="properties", type=LogicalType.JSON, description="Rest."),
        Column(name="synced_at", type=LogicalType.TIMESTAMP, description="Sync."),
    ),
)
