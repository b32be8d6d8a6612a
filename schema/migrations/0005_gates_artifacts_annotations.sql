CREATE TABLE `annotation` (
	`project` integer NOT NULL,
	`build` integer NOT NULL,
	`n` integer NOT NULL,
	`context` text NOT NULL,
	`style` text NOT NULL,
	`priority` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`bytes` integer NOT NULL,
	`body` text NOT NULL,
	PRIMARY KEY(`project`, `build`, `n`, `context`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `artifact` (
	`project` integer NOT NULL,
	`build` integer NOT NULL,
	`n` integer NOT NULL,
	`fence` integer NOT NULL,
	`path` text NOT NULL,
	`bytes` integer NOT NULL,
	`sha256` text NOT NULL,
	`sha1` text NOT NULL,
	`content_type` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`project`, `build`, `n`, `fence`, `path`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `gate` (
	`id` integer PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`most` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `gate_name` ON `gate` (`name`);--> statement-breakpoint
ALTER TABLE `build` ADD `parent` text;--> statement-breakpoint
ALTER TABLE `job` ADD `gate` integer;--> statement-breakpoint
ALTER TABLE `job` ADD `turn` text;--> statement-breakpoint
CREATE INDEX `job_gate` ON `job` (`gate`,`state`,`turn`) WHERE "job"."gate" is not null and "job"."finished_at" is null;
