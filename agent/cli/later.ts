/** Commands that scripts for Buildkite may call and that come later: each says so, what to do until then, and fails. */
import type { Command } from 'commander'
import { EXIT, Failure } from './output.ts'

const LATER = [
  { group: 'oidc', name: 'request-token', about: 'not yet: tokens for clouds and registries', sentence: 'jobs get no OIDC tokens yet. Until they do, give the agent of trusted jobs a role or key of its own, and let their steps ask for it by a tag or queue.' },
  { group: 'secret', name: 'get', about: 'not yet: secrets of the cluster', sentence: "there are no secrets to get yet. Until there are, keep them on the agent's machine: its environment hook (--hooks-path) can export them to the jobs that may see them." },
] as const

export function registerLater(program: Command): void {
  for (const { group, name, about, sentence } of LATER) {
    program
      .command(group)
      .description(about)
      .command(name)
      .description(about)
      .argument('[arguments...]')
      .allowUnknownOption()
      .action(() => {
        throw new Failure(EXIT.failed, `"${group} ${name}" comes later: ${sentence}`)
      })
  }
}
