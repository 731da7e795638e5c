-- A round whose command no longer says that it orders the round's stages was interrupted, as a run is.

ALTER TABLE rounds ADD COLUMN alive_until timestamptz NOT NULL DEFAULT clock_timestamp() + interval '30 seconds';
