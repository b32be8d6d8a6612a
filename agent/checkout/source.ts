/**
 * What the address of a repository says: where it is, what its mirror is called, and the credentials in it. Those are
 * taken out here, first of all, so that nothing behind this file could put them into an argument, a log or a
 * configuration file. They belong to one origin, and no submodule of another origin ever gets them.
 */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { CheckoutError } from './failure.ts'

export interface Credentials {
  /** `https://host:port`, as git names it when it asks. */
  readonly origin: string
  readonly username: string
  readonly password: string
}

export interface Source {
  /** Without credentials; a path is absolute. */
  readonly url: string
  /** Of its mirror and its work trees: readable, and different for each URL. */
  readonly name: string
  /** On this machine: a path or `file://`. */
  readonly isLocal: boolean
  readonly credentials: Credentials | null
}

/** Reads an address; `given` are credentials that came beside it, and go before those in it. */
export function readSource(repository: string, given: { readonly username: string; readonly password: string } | null = null): Source {
  const refuse = (why: string) => new CheckoutError('repository_refused', `cannot check out of this repository: ${why}. Give a URL or a path.`)
  // `ext::` and its kind run a command; a leading "-" is an option; git itself must not see either.
  if (/^\s*$|^-|[\0\r\n]/.test(repository)) throw refuse('its address is none that git can fetch')
  if (/^[A-Za-z0-9+.-]+::/.test(repository)) throw refuse('an address of the form "helper::" would run a program on the agent')
  const parts = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/]*)@)?([^/]*)(.*)$/i.exec(repository)
  if (parts === null) {
    const isRemote = /^[^/]+:/.test(repository) // host:path, as scp writes it
    return source(isRemote ? repository : resolve(repository), { isLocal: !isRemote, credentials: null })
  }
  const [, scheme = '', user, host = '', path = ''] = parts
  const lower = scheme.toLowerCase()
  if (lower === 'file') return source(repository, { isLocal: true, credentials: null })
  const [username = '', ...password] = (user ?? '').split(':')
  if (lower !== 'http' && lower !== 'https') return source(`${scheme}://${username === '' ? '' : `${username}@`}${host}${path}`, { isLocal: false, credentials: null })
  const own = user === undefined ? null : { username: decoded(username), password: decoded(password.join(':')) }
  const chosen = given ?? own
  return source(`${scheme}://${host}${path}`, { isLocal: false, credentials: chosen === null ? null : { origin: `${lower}://${host}`, ...chosen } })
}

/** The address of a submodule as its parent's `.gitmodules` writes it, maybe relative to the parent's; the parent's credentials go along only within their origin. */
export function readSubmoduleSource(address: string, parent: Source): Source {
  const child = readSource(/^\.\.?(?:\/|$)/.test(address) ? joined(parent.url, address) : address)
  const { credentials } = parent
  return child.credentials === null && credentials !== null && child.url.startsWith(`${credentials.origin}/`) ? { ...child, credentials } : child
}

/** As git does it: each `../` takes one step off the parent's address, also over the colon of `host:path`. */
function joined(base: string, relative: string): string {
  let from = base.replace(/\/+$/, '')
  let rest = relative
  let glue = '/'
  for (;;) {
    // Leaves: nothing relative is left, or nothing to step back over.
    if (rest.startsWith('./')) rest = rest.slice(2)
    else if (rest === '..' || rest.startsWith('../')) {
      rest = rest.slice(3)
      const cut = Math.max(from.lastIndexOf('/'), glue === '/' && !from.includes('://') ? from.lastIndexOf(':') : -1)
      if (cut <= 0) break
      glue = from[cut] ?? '/'
      from = from.slice(0, cut)
    } else break
  }
  return rest === '' || rest === '.' ? from : `${from}${glue}${rest}`.replace(/\/+$/, '')
}

function source(url: string, rest: Pick<Source, 'isLocal' | 'credentials'>): Source {
  const last = url.replace(/[/\\]+$/, '').replace(/(?:\.git|\/\.git)$/, '').split(/[/\\:]/).at(-1) ?? ''
  const readable = last.replace(/[^\w.-]/g, '').replace(/^\.+/, '').slice(0, 40) || 'repository'
  return { url, name: `${readable}-${createHash('sha256').update(url).digest('hex').slice(0, 12)}`, ...rest }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // a "%" that was meant
  }
}
