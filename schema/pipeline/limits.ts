/**
 * Bounds on what one upload may bring, each named in the refusal that it causes. Buildkite's are 500 jobs an upload, 500
 * uploads and 4,000 jobs a build; ours let more jobs come at once.
 */
export const PIPELINE_LIMITS = {
  /** Of the file, and of the canonical pipeline that is sent. */
  bytes: 1024 * 1024,
  /** Mappings and lists within each other. */
  depth: 64,
  /** Those in groups, and the groups, included. */
  stepsPerUpload: 2000,
  jobsPerUpload: 2000,
  /** How often one step waits for another, all behind a wait or block for it included: each is a row. */
  arrowsPerUpload: 20_000,
  jobsPerBuild: 4000,
  /** Those of all uploads, groups and their steps included. */
  stepsPerBuild: 8000,
  /** Of what all jobs of a build are to do, each for itself, and of its steps: a page and a reply hold all of it. */
  charactersPerBuild: 8_000_000,
  uploadsPerJob: 500,
  keyCharacters: 100,
  labelCharacters: 1000,
  skipReasonCharacters: 70,
  concurrencyGroupCharacters: 200,
  retries: 10,
  /** Of one trigger step. */
  buildsPerTrigger: 100,
  /** How many triggers may stand between a build and the one that a person started. */
  triggerDepth: 16,
  /** Builds that triggers may start for one build that a person started, at whatever depth. */
  triggeredBuilds: 1000,
  /** Whom a build tells how it goes, those of its steps and groups included. */
  noticesPerBuild: 100,
  /** Of what is kept of them, conditions and addresses. */
  noticesCharacters: 256 * 1024,
  fields: 50,
  options: 200,
  /** Told at once; the rest is only counted. */
  mistakes: 100,
} as const
