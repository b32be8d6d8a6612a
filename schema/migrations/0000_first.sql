CREATE TABLE `agent` (
	`id` text PRIMARY KEY NOT NULL,
	`secret_sha256` text NOT NULL,
	`credential_version` integer NOT NULL,
	`boot_seq` integer NOT NULL,
	`boot_id` text NOT NULL,
	`offer` text NOT NULL,
	`offer_rev` integer NOT NULL,
	`boots` text NOT NULL,
	`held_back_until` integer,
	`held_back_for` integer,
	`drain` integer NOT NULL,
	`failures` integer NOT NULL,
	`revoked_at` integer,
	`registered_at` integer NOT NULL,
	`state` text NOT NULL,
	`reason` text,
	`slots` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `attempt` (
	`project` integer NOT NULL,
	`build` integer NOT NULL,
	`n` integer NOT NULL,
	`fence` integer NOT NULL,
	`agent` text NOT NULL,
	`boot_seq` integer NOT NULL,
	`assigned_at` integer NOT NULL,
	`ended_at` integer NOT NULL,
	`state` text NOT NULL,
	`detail` text NOT NULL,
	PRIMARY KEY(`project`, `build`, `n`, `fence`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `build` (
	`project` integer NOT NULL,
	`number` integer NOT NULL,
	`state` text,
	`commit_sha` text,
	`branch` text,
	`message` text,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`finished_at` integer,
	PRIMARY KEY(`project`, `number`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `dedup` (
	`key` text PRIMARY KEY NOT NULL,
	`answer` text NOT NULL,
	`at` integer NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `fact` (
	`name` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `heartbeat` (
	`id` integer PRIMARY KEY NOT NULL,
	`seen` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `job` (
	`project` integer NOT NULL,
	`build` integer NOT NULL,
	`n` integer NOT NULL,
	`state` text NOT NULL,
	`fence` integer NOT NULL,
	`class` integer NOT NULL,
	`ord` integer NOT NULL,
	`priority` integer NOT NULL,
	`spec` text NOT NULL,
	`cancel` integer NOT NULL,
	`lost_count` integer NOT NULL,
	`avoid_agent` text,
	`created_at` integer NOT NULL,
	`agent` text,
	`boot_seq` integer,
	`assigned_at` integer,
	`digest` text,
	`result` text,
	`finished_at` integer,
	`retry_of` integer,
	`retried_by` integer,
	PRIMARY KEY(`project`, `build`, `n`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `job_queue` ON `job` (`class`,`ord`) WHERE "job"."state" = 'queued';--> statement-breakpoint
CREATE INDEX `job_live` ON `job` (`agent`) WHERE "job"."state" = 'live';--> statement-breakpoint
CREATE TABLE `class` (
	`id` integer PRIMARY KEY NOT NULL,
	`queue` text NOT NULL,
	`tags` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `class_requirement` ON `class` (`queue`,`tags`);--> statement-breakpoint
CREATE TABLE `project` (
	`id` integer PRIMARY KEY NOT NULL,
	`slug` text NOT NULL,
	`repository` text,
	`default_branch` text,
	`command` text,
	`checkout` integer NOT NULL,
	`timeout_s` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `project_slug` ON `project` (`slug`);--> statement-breakpoint
CREATE TABLE `token` (
	`id` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`sha256` text NOT NULL,
	`name` text NOT NULL,
	`scope` text,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`max_uses` integer,
	`used_by` text NOT NULL,
	`last_used_at` integer,
	`revoked_at` integer
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `token_sha256` ON `token` (`sha256`);