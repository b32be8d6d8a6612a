/** Where a repository keeps its pipeline: the first that is there is taken. All but the first are where Buildkite looks, too. */
export const PIPELINE_FILES = ['.kedge/pipeline', '.buildkite/pipeline', 'buildkite/pipeline', 'buildkite'].flatMap((name) => ['yml', 'yaml', 'json'].map((ending) => `${name}.${ending}`))
