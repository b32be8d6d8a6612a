/** Which repository of which host a URL names that git can fetch: `https://host/team/app.git`, `ssh://…`, `git@host:team/app`. */

export interface RepositoryAddress {
  readonly host: string
  /** `host:8443`, where the URL names a port. */
  readonly hostAndPort: string
  /** `team/app`. */
  readonly path: string
  /** By HTTP: a forge below a path of its host has that in its URLs. */
  readonly isWeb: boolean
}

/** Null: it is a path, or of a kind that no forge serves. */
export function addressOf(repository: string): RepositoryAddress | null {
  const url = /^(?:https?|ssh|git\+ssh):\/\//i.test(repository) ? URL.parse(repository) : null
  if (url !== null) return address({ host: url.hostname, hostAndPort: url.host, path: decoded(url.pathname), isWeb: url.protocol.startsWith('http') })
  const short = /^(?:[^\s@/:]+@)?(?<host>[A-Za-z0-9][A-Za-z0-9.-]+):(?!\/\/)(?<path>[^\s].*)$/.exec(repository)?.groups // one letter would be a drive
  const host = short?.['host']?.toLowerCase()
  return host === undefined ? null : address({ host, hostAndPort: host, path: short?.['path'] ?? '', isWeb: false })
}

function address(found: RepositoryAddress): RepositoryAddress | null {
  const path = found.path.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '')
  return path === '' ? null : { ...found, host: found.host.toLowerCase(), path }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
