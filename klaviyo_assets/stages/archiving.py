"""Archiving: each mapped file goes to S3 unchanged, byte for byte, with a manifest.

Here: the destination `s3_archive`. Not here: keys and conditional writes (`destinations/s3/archive.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from klaviyo_assets.destinations.consoles import s3_url
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.frames.record import FrameKey
from klaviyo_assets.model.spec import TableSpec
from klaviyo_assets.resources.s3 import S3ArchiveResource
from klaviyo_assets.stages.destination import AccountRun, Destination, TakenFrame
from klaviyo_assets.stages.graph import S3_ARCHIVE, stages


@dataclass(frozen=True)
class Archiving:
    """Archives the frames of one account."""

    run: AccountRun

    def load(self, table: TableSpec, mapped: FrameKey) -> TakenFrame:
        """Archive one partition."""
        frames, s3 = self.run.frames, self._s3
        record = frames.require(mapped)
        with frames.local_file(mapped) as path:
            archived = s3.archive.archive(path, record, mapped.account, table.name, mapped.day)
        self.run.release(mapped)
        metadata = {
            "dagster/uri": archived.uri, "bytes": record.bytes, "parts": len(record.parts),
            "written": "a new part" if archived.part_written else "nothing: the archive already had this part",
        }  # fmt: skip
        return TakenFrame(record, metadata, "" if s3.is_elsewhere else s3_url(archived.uri))

    def finish(self) -> Iterable[tuple[FrameKey, KlaviyoAssetsError]]:
        """Do nothing: a partition is archived with its manifest."""
        return ()

    @property
    def _s3(self) -> S3ArchiveResource:
        resource: S3ArchiveResource = self.run.resources["s3"]
        return resource


ARCHIVE = Destination(
    stages()[S3_ARCHIVE],
    kinds=frozenset({"s3", "parquet"}),
    describe=lambda table: f"Every version of mapped `{table.name}`, immutable; the manifest names the current part.",
    open=Archiving,
    needs=frozenset({"s3"}),
    takes_deltas=True,
)
