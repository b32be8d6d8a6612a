/** Where a repository keeps its pipeline: the first that is there is taken. */
export const PIPELINE_FILES = ['.kedge', '.buildkite'].flatMap((folder) => ['yml', 'yaml', 'json'].map((ending) => `${folder}/pipeline.${ending}`))
