/**
 * A disk of a test's own, in memory, that becomes full or read-only at a word and gets well again. It seems large enough
 * for an agent to take work and costs only what is written to it: filling it up means making it as small as it is full.
 */
import { execFileSync } from 'node:child_process'
import { statfsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { testFolder } from './installation.ts'

/** An agent wants 5 GiB free before it takes work. */
const SEEMING_MIB = 6 * 1024
const INODES = 100_000

export interface SmallDisk {
  readonly folder: string
  /** Not a byte more fits, nor, until `recover`, after something was deleted by us. */
  fill(): void
  /** Not a file more fits. */
  fillInodes(): void
  /** Room for so many MiB more. */
  leave(mib: number): void
  makeReadOnly(): void
  recover(): void
}

export async function smallDisk(): Promise<SmallDisk> {
  const folder = join(await testFolder(), 'disk')
  await mkdir(folder)
  mount('-t', 'tmpfs', '-o', `size=${SEEMING_MIB}m,nr_inodes=${INODES}`, 'tmpfs', folder)
  onTestFinished(() => void execFileSync('umount', ['--lazy', folder])) // before the folder goes, while its processes may still live
  const remount = (options: string) => mount('-o', `remount,${options}`, folder)
  const used = () => {
    const { blocks, bfree, bsize, files, ffree } = statfsSync(folder)
    return { kib: ((blocks - bfree) * bsize) / 1024, inodes: files - ffree }
  }
  /** The kernel refuses a size below what is used, and whoever prints may have used more since we looked: then look again. */
  const shrink = (options: () => string): void => {
    for (let looks = 1; ; looks += 1) {
      try {
        return remount(options())
      } catch (error) {
        if (looks >= 100) throw error
      }
    }
  }
  return {
    folder,
    fill: () => shrink(() => `size=${used().kib}k`),
    fillInodes: () => shrink(() => `nr_inodes=${used().inodes}`),
    leave: (mib) => shrink(() => `size=${used().kib + mib * 1024}k`),
    makeReadOnly: () => remount('ro'),
    recover: () => remount(`rw,size=${SEEMING_MIB}m,nr_inodes=${INODES}`),
  }
}

function mount(...words: readonly string[]): void {
  execFileSync('mount', [...words], { stdio: ['ignore', 'ignore', 'pipe'] })
}
