"""The embedded servers of a laptop: Postgres, S3, BigQuery and Fivetran stand-ins, and mail, all on 127.0.0.1.

Here: bringing the servers up, proving they are ours, taking them down, and what they keep. What does
not: anything the product needs. The sandbox only sets environment variables; no production module imports it.

Rooms: `state` (what is remembered), `processes` and `ports` (the machine), `server` (what every server answers),
`postgres`, `object_store`, `stand_ins`, `mail` (the servers), `supervisor` (all of them together), `environment`
(the settings that the product gets), `importer` (CSV files into an account's schema).
"""
