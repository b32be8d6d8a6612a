/**
 * Small real repositories. Git runs without any configuration of the machine, so that a test means the same everywhere;
 * who wants the agent's side of it takes `plainEnvironment`.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ownFolder } from './folder.ts'

export function plainEnvironment(home: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: home, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
}

export async function git(folder: string, ...args: readonly string[]): Promise<string> {
  const by = { NAME: 'Ada', EMAIL: 'ada@example.org' }
  const env = { ...plainEnvironment(folder), GIT_AUTHOR_NAME: by.NAME, GIT_AUTHOR_EMAIL: by.EMAIL, GIT_COMMITTER_NAME: by.NAME, GIT_COMMITTER_EMAIL: by.EMAIL }
  return new Promise((resolve, reject) => {
    const options = ['-c', 'protocol.file.allow=always', '-c', 'safe.directory=*', '-c', 'advice.detachedHead=false']
    execFile('git', [...options, ...args], { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => (error ? reject(new Error(`git ${args.join(' ')}: ${stderr}`)) : resolve(stdout.trim())))
  })
}

/** Null removes a file; `program` makes it executable, `link` a symbolic link. */
export type Content = string | null | { readonly program: string } | { readonly link: string }

export interface Repository {
  readonly path: string
  git(...args: readonly string[]): Promise<string>
  /** Changes the files and commits them on the branch that is checked out. */
  commit(files: Readonly<Record<string, Content>>): Promise<string>
}

export async function repositoryAt(path: string, ...options: readonly string[]): Promise<Repository> {
  await mkdir(path, { recursive: true })
  await git(path, 'init', '--quiet', '--initial-branch=main', ...options)
  const run = (...args: readonly string[]) => git(path, ...args)
  return {
    path,
    git: run,
    async commit(files) {
      for (const [name, content] of Object.entries(files)) await put(join(path, name), content)
      await run('add', '--all')
      await run('commit', '--quiet', '--allow-empty', '--message', 'A change')
      return run('rev-parse', 'HEAD')
    },
  }
}

async function put(path: string, content: Content): Promise<void> {
  if (content === null) return rm(path, { recursive: true })
  await mkdir(dirname(path), { recursive: true })
  await rm(path, { recursive: true, force: true })
  if (typeof content === 'object' && 'link' in content) return symlink(content.link, path)
  await writeFile(path, typeof content === 'string' ? content : content.program)
  if (typeof content === 'object') await chmod(path, 0o755)
}

/** Every entry below a folder with its kind, mode and content; the `.git` at the top left out. */
export async function listing(folder: string): Promise<readonly string[]> {
  const lines: string[] = []
  async function look(below: string): Promise<void> {
    for (const name of (await readdir(join(folder, below))).sort()) {
      const path = join(below, name)
      if (path === '.git') continue
      const found = await lstat(join(folder, path))
      const mode = (found.mode & 0o7777).toString(8)
      if (found.isDirectory()) {
        lines.push(`${path}/ ${mode}`)
        await look(path)
      } else if (found.isSymbolicLink()) lines.push(`${path} -> ${await readlink(join(folder, path))}`)
      else if (found.isFile()) lines.push(`${path} ${mode} ${createHash('sha256').update(await readFile(join(folder, path))).digest('hex').slice(0, 16)}`)
      else lines.push(`${path} special ${mode}`)
    }
  }
  await look('')
  lines.push(`. ${((await lstat(folder)).mode & 0o7777).toString(8)}`)
  return lines
}

/** The listing of what `git clone` would give. */
export async function freshClone(repository: string, commit: string, scratch: string): Promise<readonly string[]> {
  await rm(scratch, { recursive: true, force: true })
  await git(dirname(scratch), 'clone', '--quiet', '--no-checkout', '--no-local', repository, scratch)
  await git(scratch, 'checkout', '--quiet', '--detach', commit)
  await git(scratch, 'submodule', '--quiet', 'update', '--init', '--recursive')
  return listing(scratch)
}

/** A repository of a test's own, for those who need only its path. */
export async function createRepository(): Promise<string> {
  return (await repositoryAt(join(await ownFolder(), 'repository'))).path
}

/** Returns the commit's id. */
export async function commitFile(repository: string, name: string, text: string): Promise<string> {
  await put(join(repository, name), text)
  await git(repository, 'add', '--all')
  await git(repository, 'commit', '--quiet', '--message', `Write ${name}`)
  return git(repository, 'rev-parse', 'HEAD')
}
