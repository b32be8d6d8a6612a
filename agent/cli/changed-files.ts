/** Which files a build is about: those that differ between its commit and where it left the branch that it will go to. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { EXIT, Failure } from './output.ts'
import { whyUnread, type Given } from './settings.ts'

export type ChangedFiles = { readonly ok: true; readonly files: readonly string[]; readonly base: string } | { readonly ok: false; readonly why: string }

/**
 * Against the merge base with `base`, else with the repository's default branch; a commit that is on that branch already
 * is compared with its first parent. `folder` lies in a work tree.
 */
export async function changedFiles(folder: string, { base, environment }: { readonly base: string | undefined; readonly environment: Readonly<Record<string, string | undefined>> }): Promise<ChangedFiles> {
  const git = (...args: readonly string[]) => run(folder, args, environment)
  const head = await git('rev-parse', '--verify', '--quiet', 'HEAD^{commit}')
  if (!head.ok) return { ok: false, why: 'there is no commit here' }
  const tip = base === undefined ? await known(git, ['origin/HEAD'], 'HEAD') : await known(git, [base, `origin/${base}`], base)
  if (!tip.ok && base !== undefined) return { ok: false, why: `"${base}" is no commit or branch here, nor of the remote` }
  const fork = tip.ok ? await git('merge-base', 'HEAD', tip.text) : tip
  const since = fork.ok && fork.text !== head.text ? fork : await git('rev-parse', '--verify', '--quiet', 'HEAD^1^{commit}')
  if (!since.ok) return { ok: false, why: 'the commit has no parent here' }
  const diff = await git('diff', '--name-only', '--no-renames', '-z', since.text, 'HEAD', '--')
  return diff.ok ? { ok: true, files: diff.text.split('\0').filter((name) => name !== ''), base: since.text } : { ok: false, why: diff.why }
}

/** As another program has told them: a path on each line. */
export function listedFiles(folder: string, { text: path, from }: Given): readonly string[] {
  try {
    return readFileSync(resolve(folder, path), 'utf8').split('\n').map((line) => line.trim()).filter((line) => line !== '')
  } catch (error) {
    throw new Failure(EXIT.usage, `cannot read "${path}", which ${from} names: ${whyUnread(error)}. Name a file with the path of a changed file on each line, or leave ${from} away to ask git.`)
  }
}

type Said = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly why: string }

/** The commit by the first of its names here, else as the remote has it: a job's checkout has only what its commit needs. */
async function known(git: (...args: readonly string[]) => Promise<Said>, names: readonly string[], ref: string): Promise<Said> {
  for (const name of names) {
    const found = await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`)
    if (found.ok) return found
  }
  const fetched = await git('fetch', '--quiet', '--no-tags', '--no-recurse-submodules', '--end-of-options', 'origin', ref)
  return fetched.ok ? git('rev-parse', '--verify', '--quiet', 'FETCH_HEAD^{commit}') : fetched
}

const MOST_BYTES = 64 * 1024 * 1024

function run(folder: string, args: readonly string[], environment: Readonly<Record<string, string | undefined>>): Promise<Said> {
  return new Promise((resolve) => {
    execFile('git', args, { cwd: folder, env: { ...environment, GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C' }, maxBuffer: MOST_BYTES, timeout: 60_000 }, (error, stdout, stderr) => {
      if (error === null) resolve({ ok: true, text: stdout.replace(/\n$/, '') })
      else resolve({ ok: false, why: (stderr.trim().split('\n').at(-1) ?? '') || error.message })
    })
  })
}
