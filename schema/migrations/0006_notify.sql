ALTER TABLE `build` ADD `notify` text;--> statement-breakpoint
ALTER TABLE `build` ADD `notify_at` integer;--> statement-breakpoint
CREATE INDEX `build_notify` ON `build` (`notify_at`) WHERE "build"."notify_at" is not null;--> statement-breakpoint
CREATE INDEX `step_blocked` ON `step` (`project`,`build`) WHERE "step"."state" = 'blocked';