/**
 * Where a setting comes from: flag, else environment, else kedge.json, else the default. A name in the file that is not
 * known is an error with its place, never ignored: an agent that runs on the wrong queue looks like one that is broken.
 */
import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { jsonMistake } from '../../schema/json-mistake.ts'
import { didYouMean } from '../../schema/nearest.ts'
import { EXIT, Failure, type Surroundings } from './output.ts'

export const DEFAULT_URL = 'http://127.0.0.1:8787'

/** What kedge.json may hold, by the names of the flags. */
const FILE_KEYS = { url: 'text', token: 'text', token_file: 'text', name: 'text', slots: 'number', queue: 'text', tags: 'texts', state: 'text', hooks_path: 'text', cache_path: 'text', plugins: 'yes-or-no', doorbell: 'yes-or-no' } as const

export interface FileSettings {
  readonly url?: string
  readonly token?: string
  readonly token_file?: string
  readonly name?: string
  readonly slots?: number
  readonly queue?: string
  readonly tags?: readonly string[]
  readonly state?: string
  readonly hooks_path?: string
  readonly cache_path?: string
  readonly plugins?: boolean
  readonly doorbell?: boolean
}

/** Reads `path`, or `kedge.json` where the command was started if there is one. */
export function readSettings(path: string | undefined, { folder }: Surroundings): FileSettings {
  const file = resolve(folder, path ?? 'kedge.json')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (path === undefined && error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw new Failure(EXIT.usage, `cannot read ${file}: ${whyUnread(error)}. Name another file with --config.`)
  }
  return parseSettings(text.replace(/^\uFEFF/, ''), path ?? 'kedge.json') // some editors begin a file so
}

/** `file` only names the text in errors. */
export function parseSettings(text: string, file: string): FileSettings {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    const { line, column, message } = jsonMistake(text)
    throw new Failure(EXIT.usage, `${file}:${line}:${column} is not JSON: ${message}.`)
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new Failure(EXIT.usage, `${file}:1:1 must be an object, such as {"url": "https://kedge.example.com"}.`)
  for (const [key, value] of Object.entries(json)) {
    const place = () => placeOf(text, keyPosition(text, key), file)
    const known = Object.keys(FILE_KEYS)
    if (!Object.hasOwn(FILE_KEYS, key)) throw new Failure(EXIT.usage, `${place()}: "${key}" is not a setting${didYouMean(key, known)} There are ${known.join(', ')}.`.replace(/(setting) There/, '$1. There'))
    const kind = FILE_KEYS[key as keyof typeof FILE_KEYS] // own key, tested above
    if (!fits(kind, value)) throw new Failure(EXIT.usage, `${place()}: "${key}" must be ${WANTED[kind]}.`)
  }
  return json // each key and its kind was tested above
}

const WANTED = { text: 'a text', number: 'a number', texts: 'a list of texts, such as ["os=linux"]', 'yes-or-no': 'true or false' } as const

function fits(kind: keyof typeof WANTED, value: unknown): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string'
    case 'number':
      return typeof value === 'number'
    case 'texts':
      return Array.isArray(value) && value.every((one) => typeof one === 'string')
    case 'yes-or-no':
      return typeof value === 'boolean'
    default:
      return kind satisfies never
  }
}

/** Where the key stands as a key of the outermost object: the same text may be a value before it. */
function keyPosition(text: string, key: string): number {
  let depth = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    else if (depth === 1 && JSON.parse(token) === key && /^\s*:/.test(text.slice(index + token.length))) return index
  }
  return 0
}

function placeOf(text: string, position: number, file: string): string {
  const before = text.slice(0, position).split('\n')
  return `${file}:${before.length}:${(before.at(-1) ?? '').length + 1}`
}

/** A variable that is set to nothing is not set. */
export function present(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

/** Where a value may come from, in the order in which they count. */
export interface Sources {
  readonly flag: readonly [name: string, value: string | undefined]
  readonly variable: readonly [name: string, value: string | undefined]
  readonly file?: readonly [key: string, value: string | undefined]
  readonly otherwise: string
}

/** A value, and who gave it: `--url`, `KEDGE_URL`, `"url" of kedge.json`. */
export interface Given {
  readonly text: string
  readonly from: string
}

export function firstOf({ flag, variable, file, otherwise }: Sources): Given {
  if (flag[1] !== undefined) return { text: flag[1], from: flag[0] }
  const set = present(variable[1])
  if (set !== undefined) return { text: set, from: variable[0] }
  return file?.[1] === undefined ? { text: otherwise, from: flag[0] } : { text: file[1], from: `"${file[0]}" of the settings file` }
}

/** Checks the address of a coordinator; what is wrong is told with where it came from. */
export function coordinatorUrl({ text, from }: Given): string {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw new Failure(EXIT.usage, `${from} must be the address of a coordinator, such as ${DEFAULT_URL} or https://kedge.example.com, without a path or password; "${text}" is none.`)
  }
  return url.origin
}

export function tokenFrom(file: string, { folder }: Surroundings): string {
  let token: string
  try {
    token = readFileSync(resolve(folder, file), 'utf8').trim()
  } catch (error) {
    throw new Failure(EXIT.usage, `cannot read the token from ${file}: ${whyUnread(error)}. Name another file with --token-file.`)
  }
  return plainToken(token, file)
}

/** A token can be sent only when it is one word of plain characters; it is never shown. */
export function plainToken(token: string, from: string): string {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Failure(EXIT.usage, `${from} must hold one token and nothing else, such as kdg_….`)
  return token
}

export function wholeNumber({ text, from: what }: Given, { from, to }: { readonly from: number; readonly to: number }): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number < from || number > to) throw new Failure(EXIT.usage, `${what} must be a whole number from ${from} to ${to}, not "${text}".`)
  return number
}

export function timeScale({ environment }: Surroundings): number {
  const text = environment['KEDGE_TIME_SCALE']
  if (text === undefined || text === '') return 1
  const number = Number(text)
  if (!Number.isFinite(number) || number <= 0) throw new Failure(EXIT.usage, `KEDGE_TIME_SCALE must be a number above 0, not "${text}". It is for tests: leave it out.`)
  return number
}

/** As the Worker reads it; absent: as it has it. */
export function artifactDays({ environment }: Surroundings): string | undefined {
  const text = present(environment['KEDGE_ARTIFACT_DAYS'])
  return text === undefined ? undefined : String(wholeNumber({ text, from: 'KEDGE_ARTIFACT_DAYS' }, { from: 1, to: 99_999 }))
}

/** Absolute: `$XDG_STATE_HOME/kedge/NAME` where that is in use, else `~/.kedge/NAME`. */
export function stateFolder(given: string | undefined, name: string, { environment, home, folder }: Surroundings): string {
  if (given !== undefined) return resolve(folder, given)
  const xdg = environment['XDG_STATE_HOME']
  return xdg !== undefined && isAbsolute(xdg) ? join(xdg, 'kedge', name) : join(home, '.kedge', name)
}

/** Absolute, and there: an agent whose hooks are missing must not begin to run jobs without them. */
export function folderThere({ text, from }: Given, { folder }: Surroundings): string {
  const path = resolve(folder, text)
  if (text === '' || !isFolder(path)) throw new Failure(EXIT.usage, `${from} must be a folder that is there; "${text}" is none.`)
  return path
}

function isFolder(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  } catch {
    return false // a part of it is a file, or it is no path at all
  }
}

const UNREAD: Readonly<Record<string, string>> = { ENOENT: 'there is no such file', EISDIR: 'it is a folder', EACCES: 'permission denied', ENOTDIR: 'a part of the path is a file' }

export function whyUnread(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return UNREAD[code] ?? (error instanceof Error ? error.message : String(error))
}
