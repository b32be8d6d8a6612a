/** A git that an agent finds before the real one, and that waits where a test holds it: a checkout that takes as long as it takes. */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { client, type Build } from './client.ts'
import { startAgent, testFolder, type Agent, type Coordinator } from './installation.ts'
import { commitFile, createRepository } from './repository.ts'
import { eventually } from './wait.ts'

export interface GitStop {
  /** For the agent. */
  readonly env: { readonly PATH: string }
  hold(): void
  release(): void
  /** Waits until a git waits. */
  hasArrived(): Promise<void>
}

async function createGitStop(): Promise<GitStop> {
  const folder = await testFolder()
  const [bin, held, arrived] = ['bin', 'held', 'arrived'].map((name) => join(folder, name)) as [string, string, string] // one for each name
  const path = process.env['PATH'] ?? ''
  const real = path.split(delimiter).map((one) => join(one, 'git')).find(existsSync)
  await mkdir(bin)
  // `git --version` is how an agent finds out whether it is fit: that one always passes.
  await writeFile(join(bin, 'git'), `#!/bin/sh\nif [ "$1" != --version ]; then while [ -e '${held}' ]; do : > '${arrived}'; sleep 0.02; done; fi\nexec '${real}' "$@"\n`, { mode: 0o755 })
  return {
    env: { PATH: `${bin}${delimiter}${path}` },
    hold: () => writeFileSync(held, ''),
    release: () => rmSync(held, { force: true }),
    hasArrived: async () => {
      await eventually('a git waits', () => existsSync(arrived))
    },
  }
}

export interface HeldCheckout {
  readonly agent: Agent
  readonly build: Build
  readonly stop: GitStop
}

/** A build of a repository with one file, `a`, whose agent waits in git until the test releases it. */
export async function holdCheckout(coordinator: Coordinator, command: string): Promise<HeldCheckout> {
  const people = client(coordinator)
  const repository = await createRepository()
  await commitFile(repository, 'a', 'a')
  const stop = await createGitStop()
  const agent = await startAgent({ url: coordinator.url, token: coordinator.registrationToken, env: stop.env })
  await people.agent(agent.name)
  stop.hold()
  const build = await (await people.project({ checkout: true, repository, default_branch: 'main' })).build({ command, agents: { queue: agent.queue } })
  await stop.hasArrived()
  return { agent, build, stop }
}
