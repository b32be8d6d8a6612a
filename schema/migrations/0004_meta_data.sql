CREATE TABLE `metadata` (
	`project` integer NOT NULL,
	`build` integer NOT NULL,
	`key` text NOT NULL,
	`bytes` integer NOT NULL,
	`value` text NOT NULL,
	PRIMARY KEY(`project`, `build`, `key`)
) WITHOUT ROWID;
