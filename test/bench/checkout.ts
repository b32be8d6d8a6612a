/**
 * The agent's own checkout on a repository of some thousand files, beside what git does alone: a fresh clone as from a
 * server, by git's transport but without a network, and `git worktree add` from a mirror. All take turns, so that noise is shared.
 * The kept tree is measured as it was left, and after a build: most change files and leave new ones, which must go first.
 */
import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createCheckout } from '../../agent/checkout/checkout.ts'
import { nodePlatform, nodeProcesses } from '../../agent/node-platform.ts'
import { endGroup } from '../../agent/runner/process-tree.ts'
import { plainEnvironment, repositoryAt } from '../support/repository.ts'
import { median, ms, timed, type Bar } from './row.ts'
import { ownFolder } from './stage.ts'

const FILES = 3000
const CHANGED = 5
/** What a build leaves: new files, most of them in a folder of their own, and tracked ones written anew. */
const LEFT = 500
const REWRITTEN = 5
const ROUNDS = 5
/** On a busy machine fewer rounds must do. */
const BUDGET_MS = 25_000
const KEPT_FASTER = 10
/** The slot whose trees are built in. */
const BUILT = ROUNDS + 1
const FIRST_USE_MOST = 1.15
const FIRST_USE_FASTER = 2

export const checkout: Bar = {
  name: 'checkout',
  async run() {
    const folder = await ownFolder()
    const repository = await repositoryAt(join(folder, 'repository'))
    const file = (index: number) => `src/room-${index % 60}/file-${index}.ts`
    const content = (index: number, round: number) => `export const it = ${index} // ${round}\n`.repeat(20 + (index % 80))
    const commits = [await repository.commit(Object.fromEntries(Array.from({ length: FILES }, (_, i) => [file(i), content(i, 0)])))]
    for (let round = 1; round <= ROUNDS; round++) commits.push(await repository.commit(Object.fromEntries(Array.from({ length: CHANGED }, (_, i) => [file(round * 100 + i), content(i, round)]))))
    await repository.git('gc', '--quiet') // as a server keeps it
    const home = join(folder, 'home')
    await mkdir(home)
    const environment = plainEnvironment(home)
    const git = async (...args: readonly string[]) => void (await promisify(execFile)('git', [...args], { env: environment, cwd: folder }))
    const mirror = join(folder, 'floor.git')
    await git('clone', '--quiet', '--mirror', repository.path, mirror)
    const prepare = createCheckout({ folders: { cache: join(folder, 'cache'), worktrees: join(folder, 'trees') }, environment, machine: { ...nodePlatform(), processes: nodeProcesses() }, endGroup })
    const prepareIn = (slot: number, commit: string) => prepare({ checkout: { repository: repository.path, commit, branch: null, fresh: false }, slot, project: 'bench', log: () => undefined, signal: new AbortController().signal })
    const place = (slot: number, commit: string) => timed(() => prepareIn(slot, commit))
    const build = async () => {
      const { folder: tree } = await prepareIn(BUILT, commits[0] ?? '')
      await mkdir(join(tree, 'out'))
      await Promise.all(Array.from({ length: LEFT }, (_, i) => writeFile(join(tree, i % 50 === 0 ? `src/room-${i % 60}/left-${i}` : `out/left-${i}`), content(i, 0))))
      for (let i = 0; i < REWRITTEN; i++) await writeFile(join(tree, file(i)), 'by the build')
    }
    for (const slot of [0, BUILT]) for (const commit of [commits.at(-1), commits[0]]) await place(slot, commit ?? '') // the mirror and the kept trees are warm
    const took = { clone: [] as number[], worktree: [] as number[], first: [] as number[], kept: [] as number[], built: [] as number[] }
    const since = performance.now()
    for (const [index, commit] of commits.slice(1).entries()) {
      if (index >= 2 && performance.now() - since > BUDGET_MS) break
      const [cloned, added] = [join(folder, `clone-${index}`), join(folder, `added-${index}`)]
      took.clone.push(await timed(async () => {
        await git('clone', '--quiet', '--no-checkout', `file://${repository.path}`, cloned)
        await git('-C', cloned, 'checkout', '--quiet', '--detach', commit)
      }))
      took.worktree.push(await timed(() => git('--git-dir', mirror, 'worktree', 'add', '--quiet', '--detach', added, commit)))
      took.first.push(await place(index + 1, commit))
      took.kept.push(await place(0, commit))
      await build()
      took.built.push(await place(BUILT, commit))
      await Promise.all([cloned, added].map((path) => rm(path, { recursive: true, force: true })))
    }
    const [clone, worktree, first, kept, built] = [median(took.clone), median(took.worktree), median(took.first), median(took.kept), median(took.built)]
    return [
      { name: `checkout, kept tree, ${CHANGED} of ${FILES} files`, figure: `${ms(kept)}; fresh clone ${ms(clone)}`, ratio: `${(clone / kept).toFixed(1)} × faster`, bar: `≥ ${KEPT_FASTER} × faster than a fresh clone`, holds: clone >= KEPT_FASTER * kept },
      { name: `checkout, kept tree, after a build that left ${LEFT} files`, figure: `${ms(built)}; fresh clone ${ms(clone)}`, ratio: `${(clone / built).toFixed(1)} × faster`, bar: `≥ ${KEPT_FASTER} × faster than a fresh clone`, holds: clone >= KEPT_FASTER * built },
      { name: 'checkout, first use of a slot', figure: `${ms(first)}; git worktree add ${ms(worktree)}`, ratio: `${(first / worktree).toFixed(2)} ×`, bar: `≤ ${FIRST_USE_MOST} × git worktree add`, holds: first <= FIRST_USE_MOST * worktree },
      { name: 'checkout, first use of a slot', figure: `${ms(first)}; fresh clone ${ms(clone)}`, ratio: `${(clone / first).toFixed(1)} × faster`, bar: `≥ ${FIRST_USE_FASTER} × faster than a fresh clone`, holds: clone >= FIRST_USE_FASTER * first },
    ]
  },
}
