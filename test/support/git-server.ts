/**
 * A real git server over HTTP (`git http-backend`), with the moods of servers: a password, a protocol too old to give
 * out commits by their id, silence. Large files are served as git-lfs wants them, from `lfs/objects` of the repository.
 */
import { spawn } from 'node:child_process'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { listening } from './listening.ts'
import { plainEnvironment } from './repository.ts'

export interface GitServer {
  /** `http://127.0.0.1:port` */
  readonly origin: string
  /** `METHOD path` of each request, as they came. */
  readonly requests: readonly string[]
  /** From now on it takes requests and never answers. */
  fallSilent(): void
  /** From now on it answers everybody with this, as a sign-in page in its place would. */
  answerWithPage(text: string): void
  answerAgain(): void
}

export interface GitServerOptions {
  readonly username?: string
  /** One, or all that are taken. */
  readonly password?: string | readonly string[]
  /** 0: only what branches and tags name can be fetched. */
  readonly protocol?: 0 | 2
}

/** Serves the bare repositories below `root`. */
export async function serveGit(root: string, { username = 'ada', password, protocol = 2 }: GitServerOptions = {}): Promise<GitServer> {
  const requests: string[] = []
  let isSilent = false
  let page: string | null = null
  const wanted = [password ?? []].flat().map((each) => `Basic ${Buffer.from(`${username}:${each}`).toString('base64')}`)
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    if (isSilent) return
    if (page !== null) {
      response.writeHead(200, { 'content-type': 'text/html' }).end(page)
      return
    }
    if (password !== undefined && !wanted.includes(request.headers.authorization ?? '')) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end()
      return
    }
    const url = new URL(request.url ?? '/', 'http://localhost')
    if (url.pathname.includes('/info/lfs/')) void serveLargeFiles(root, url.pathname, request, response)
    else serveBackend(root, url, protocol, request, response)
  })
  return {
    origin: await listening(server),
    requests,
    fallSilent: () => void (isSilent = true),
    answerWithPage: (text) => void (page = text),
    answerAgain: () => {
      isSilent = false
      page = null
    },
  }
}

function serveBackend(root: string, url: URL, protocol: 0 | 2, request: IncomingMessage, response: ServerResponse): void {
  const header = (name: string) => String(request.headers[name] ?? '')
  const env = {
    ...plainEnvironment(root),
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    REQUEST_METHOD: request.method ?? 'GET',
    PATH_INFO: url.pathname,
    QUERY_STRING: url.search.slice(1),
    CONTENT_TYPE: header('content-type'),
    REMOTE_ADDR: '127.0.0.1',
    ...(header('content-length') === '' ? {} : { CONTENT_LENGTH: header('content-length') }),
    ...(header('content-encoding') === '' ? {} : { HTTP_CONTENT_ENCODING: header('content-encoding') }),
    ...(protocol === 2 && header('git-protocol') !== '' ? { GIT_PROTOCOL: header('git-protocol') } : {}),
  }
  const backend = spawn('git', ['-c', 'safe.directory=*', 'http-backend'], { env, stdio: ['pipe', 'pipe', 'ignore'] })
  request.pipe(backend.stdin)
  backend.stdin.on('error', () => undefined) // it may answer before it has read all
  let head: Buffer | null = Buffer.alloc(0)
  backend.stdout.on('data', (chunk: Buffer) => {
    if (head === null) return void response.write(chunk)
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    const headers = head.subarray(0, end).toString().split('\r\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as const)
    const status = headers.find(([name]) => name === 'Status')?.[1]
    response.writeHead(status === undefined ? 200 : Number.parseInt(status, 10), Object.fromEntries(headers.filter(([name]) => name !== 'Status')))
    response.write(head.subarray(end + 4))
    head = null
  })
  backend.stdout.on('end', () => response.end())
  response.on('close', () => backend.kill())
}

async function serveLargeFiles(root: string, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [repository = '', rest = ''] = path.split('/info/lfs/')
  const stored = (oid: string) => join(root, repository, 'lfs', 'objects', oid.slice(0, 2), oid.slice(2, 4), oid)
  if (rest.startsWith('get/')) {
    createReadStream(stored(rest.slice(4))).pipe(response)
    return
  }
  if (rest !== 'objects/batch') return void response.writeHead(404, { 'content-type': 'application/vnd.git-lfs+json' }).end('{"message":"no such thing"}')
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const { objects } = JSON.parse(Buffer.concat(chunks).toString()) as { objects: { oid: string; size: number }[] }
  const answers = await Promise.all(
    objects.map(async ({ oid, size }) => {
      if (!(await stat(stored(oid)).catch(() => null))) return { oid, size, error: { code: 404, message: 'Object does not exist' } }
      return { oid, size: (await readFile(stored(oid))).length, actions: { download: { href: `http://${request.headers.host}${repository}/info/lfs/get/${oid}`, header: request.headers.authorization === undefined ? {} : { Authorization: request.headers.authorization } } } }
    }),
  )
  response.writeHead(200, { 'content-type': 'application/vnd.git-lfs+json' }).end(JSON.stringify({ transfer: 'basic', objects: answers }))
}
