/** `kedge lock`, as scripts that were written for Buildkite call it. What it does is in `lock-calls.ts`, imported late. */
import type { Command } from 'commander'
import { end, type Surroundings } from './output.ts'

export function registerLock(program: Command, surroundings: Surroundings): void {
  const calls = () => import('./lock-calls.ts')
  const lock = program.command('lock').description('keep jobs of one agent out of each other\'s way, from inside them')
  const command = (name: string) => lock.command(name).argument('<key>').option('--lock-scope <scope>', 'machine, the only one there is')
  const waiting = (one: Command) => one.option('--lock-wait-timeout <time>', 'give up after this, such as 30s or 1h30m; without it, wait as long as it takes')

  waiting(command('acquire'))
    .description('wait for the lock, take it, and print the token that releases it')
    .action(async (key, flags) => end(await (await calls()).acquireLock(key, flags, surroundings)))
  command('release')
    .argument('<token>')
    .description('give the lock back')
    .action(async (key, token, flags) => end((await calls()).releaseLock({ key, token }, flags, surroundings)))
  waiting(command('do'))
    .description('print "do" where the work is to be done, or "done" once another has done it')
    .action(async (key, flags) => end(await (await calls()).doOnce(key, flags, surroundings)))
  command('done')
    .description('say that the work is done')
    .action(async (key, flags) => end((await calls()).doneOnce(key, flags, surroundings)))
  command('get')
    .description('print the state of a lock: nothing, acquired(…), doing or done')
    .action(async (key, flags) => end((await calls()).showLock(key, flags, surroundings)))
}
