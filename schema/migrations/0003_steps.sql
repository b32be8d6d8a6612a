CREATE TABLE `edge` (
	`project` integer NOT NULL,
	`build` integer NOT NULL,
	`from_step` integer NOT NULL,
	`to_step` integer NOT NULL,
	`allow_failure` integer NOT NULL,
	PRIMARY KEY(`project`, `build`, `from_step`, `to_step`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `step` (
	`project` integer NOT NULL,
	`build` integer NOT NULL,
	`s` integer NOT NULL,
	`place` text NOT NULL,
	`kind` text NOT NULL,
	`key` text,
	`label` text,
	`group_step` integer,
	`state` text NOT NULL,
	`outcome` text,
	`needs` integer NOT NULL,
	`is_broken` integer NOT NULL,
	`first_job` integer NOT NULL,
	`jobs` integer NOT NULL,
	`open_jobs` integer NOT NULL,
	`spec` text NOT NULL,
	PRIMARY KEY(`project`, `build`, `s`)
) WITHOUT ROWID;
--> statement-breakpoint
ALTER TABLE `build` ADD `env` text;--> statement-breakpoint
ALTER TABLE `build` ADD `open_steps` integer;--> statement-breakpoint
ALTER TABLE `build` ADD `verdict` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `job` ADD `step` integer;