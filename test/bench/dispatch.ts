/**
 * Trigger → the command's first instruction, on an idle agent with its doorbell and a warm mirror. The time is taken
 * when the POST is sent, so its own way is in it; the end is what the command itself writes down. The floor does bare
 * what cannot be left out: `git worktree add` and a shell.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Project } from '../support/client.ts'
import { repositoryAt } from '../support/repository.ts'
import { median, ms, quantile, type Bar, type Row } from './row.ts'
import { openAgent, openCoordinator } from './stage.ts'

const TIMES = 40
/** On a busy machine fewer times must do. */
const BUDGET_MS = 20_000
const LEAST_TIMES = 8
const OVER_THE_FLOOR_MS = 60
/** An agent heeds two rings a second, after a burst of ten [C9]: faster than that this would measure only that limit. */
const IDLE_MS = 550

export const dispatch: Bar = {
  name: 'dispatch',
  async run() {
    const site = await openCoordinator()
    await openAgent(site)
    const repository = await repositoryAt(join(site.folder, 'repository'))
    const commit = await repository.commit({ README: 'one file\n' })
    const mirror = join(site.folder, 'floor.git')
    execFileSync('git', ['clone', '--quiet', '--mirror', repository.path, mirror])
    const stamps = join(site.folder, 'stamps')
    await mkdir(stamps)
    const command = `date +%s%N > ${stamps}/$KEDGE_PROJECT-$KEDGE_BUILD_NUMBER`
    const projects = { checkout: await site.people.project({ checkout: true, repository: repository.path, command }), bare: await site.people.project({ command }) }
    const trigger = async (project: Project, request: { readonly commit?: string }) => {
      const since = now()
      const build = await project.build(request)
      const { state } = await build.over()
      if (state !== 'passed') throw new Error(`build ${build.number} of ${project.slug}: ${state}: ${await build.log()}`)
      const took = (await stampOf(`${stamps}/${project.slug}-${build.number}`)) - since
      await pause(IDLE_MS)
      return took
    }
    const floor = async (index: number, isChecked: boolean) => {
      const stamp = `${stamps}/floor-${isChecked ? 'checkout' : 'bare'}-${index}`
      const since = now()
      const cwd = isChecked ? join(site.folder, `tree-${index}`) : site.folder
      if (isChecked) await ended(spawn('git', ['--git-dir', mirror, 'worktree', 'add', '--quiet', '--detach', cwd, commit], { stdio: 'ignore' }))
      await ended(spawn('/bin/sh', ['-c', `date +%s%N > ${stamp}`], { cwd, stdio: 'ignore', detached: true }))
      return (await stampOf(stamp)) - since
    }
    for (const project of Object.values(projects)) for (let warm = 0; warm < 3; warm++) await trigger(project, project === projects.checkout ? { commit } : {})
    const took = { checkout: [] as number[], bare: [] as number[], floor: [] as number[], spawn: [] as number[] }
    const since = performance.now()
    for (let index = 0; index < TIMES && (index < LEAST_TIMES || performance.now() - since < BUDGET_MS); index++) {
      took.floor.push(await floor(index, true))
      took.checkout.push(await trigger(projects.checkout, { commit }))
      took.spawn.push(await floor(index, false))
      took.bare.push(await trigger(projects.bare, {}))
    }
    return [rowOf('dispatch, kept work tree', took.checkout, took.floor), rowOf('dispatch, no checkout', took.bare, took.spawn), { name: 'dispatch of Buildbot', figure: 'not measured: not installed', ratio: '', bar: 'beaten 10×', holds: null }]
  },
}

function rowOf(name: string, took: readonly number[], floor: readonly number[]): Row {
  const over = quantile(took, 0.95) - median(floor)
  return {
    name,
    figure: `${took.length} times: p50 ${ms(median(took))}, p95 ${ms(quantile(took, 0.95))}; floor p50 ${ms(median(floor))}, p95 ${ms(quantile(floor, 0.95))}`,
    ratio: `p95 ${over < 0 ? '' : '+'}${ms(over)} over the floor's median`,
    bar: `≤ ${OVER_THE_FLOOR_MS} ms over the floor`,
    holds: over <= OVER_THE_FLOOR_MS,
  }
}

/** The same clock as `date`. */
const now = (): number => performance.timeOrigin + performance.now()

async function stampOf(path: string): Promise<number> {
  return Number(BigInt((await readFile(path, 'utf8')).trim()) / 1000n) / 1000
}

async function ended(child: ReturnType<typeof spawn>): Promise<void> {
  await new Promise<void>((resolve, reject) => child.once('error', reject).once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${child.spawnargs.join(' ')}: exit ${code}`)))))
}
