/** A person's side of an installation, over the REST API alone: projects, builds, and waiting for what becomes of them. */
import type { AgentView, AttemptView, BuildView, CreateProjectRequest, JobView } from '../../schema/api.ts'
import { isFinalBuild } from '../../schema/job.ts'
import type { z } from 'zod'
import type { createBuildRequest } from '../../schema/api.ts'
import { eventually, type Wait } from './wait.ts'

type BuildRequest = z.input<typeof createBuildRequest>

export interface Build {
  readonly number: number
  view(): Promise<BuildView>
  /** Its only job. */
  job(): Promise<JobView>
  /** Waits until the job fits, and returns it. */
  until(what: string, fits: (job: JobView) => boolean, wait?: Wait): Promise<JobView>
  /** Waits until attempt `fence` runs: named by its agent, and its command started. */
  running(fence?: number, wait?: Wait): Promise<AttemptView>
  /** Waits until the build is over. */
  over(wait?: Wait): Promise<BuildView>
  cancel(): Promise<BuildView>
  /** Of the newest attempt, or of one. */
  log(fence?: number): Promise<string>
}

export interface Project {
  readonly slug: string
  build(request: BuildRequest): Promise<Build>
}

export interface Client {
  project(settings?: Partial<CreateProjectRequest>): Promise<Project>
  agents(): Promise<readonly AgentView[]>
  /** Waits until an agent of this name is there and fits. */
  agent(name: string, fits?: (agent: AgentView) => boolean): Promise<AgentView>
  ask(method: string, path: string, body?: unknown): Promise<Response>
}

let projects = 0

export function client({ url, adminToken }: { readonly url: string; readonly adminToken: string }): Client {
  const ask = async (method: string, path: string, body?: unknown) =>
    await fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${adminToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }), signal: AbortSignal.timeout(10_000) })
  const json = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const response = await ask(method, path, body)
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as T // the server's own types; the API's tests hold it to them
  }

  const buildOf = (slug: string, number: number): Build => {
    const path = `/api/v1/projects/${slug}/builds/${number}`
    const view = async () => await json<BuildView>('GET', path)
    const job = async () => {
      const [only] = (await view()).jobs
      if (only === undefined) throw new Error(`build ${number} of ${slug} has no job`)
      return only
    }
    const until: Build['until'] = async (what, fits, wait) =>
      await eventually(`build ${number} of ${slug} ${what}`, async (saw) => {
        const now = await job()
        saw(now)
        return fits(now) ? now : null
      }, wait)
    return {
      number, view, job, until,
      running: async (fence = 1, wait) => {
        const { attempts } = await until(`runs as attempt ${fence}`, (now) => now.state === 'running' && now.attempts.at(-1)?.fence === fence, wait)
        const attempt = attempts.at(-1)
        if (attempt === undefined) throw new Error('unreachable: the wait above saw it')
        return attempt
      },
      over: async (wait) =>
        await eventually(`build ${number} of ${slug} is over`, async (saw) => {
          const now = await view()
          saw(now)
          return isFinalBuild(now.state) ? now : null
        }, wait),
      cancel: async () => await json('POST', `${path}/cancel`),
      log: async (fence) => {
        const { id } = await job()
        const response = await ask('GET', `/api/v1/jobs/${id}/log${fence === undefined ? '' : `?attempt=${fence}`}`)
        if (!response.ok) throw new Error(`log of ${id}: ${response.status} ${await response.text()}`)
        return await response.text()
      },
    }
  }

  const agents = async () => await json<readonly AgentView[]>('GET', '/api/v1/agents')
  return {
    ask,
    agents,
    agent: async (name, fits = ({ state }) => state === 'ready' || state === 'busy') =>
      await eventually(`the agent ${name} is there`, async (saw) => {
        const all = await agents()
        saw(all)
        return all.find((agent) => agent.name === name && fits(agent))
      }),
    project: async (settings = {}) => {
      projects += 1
      const slug = `p${projects}`
      await json('POST', '/api/v1/projects', { slug, checkout: false, ...settings })
      return { slug, build: async (request) => buildOf(slug, (await json<BuildView>('POST', `/api/v1/projects/${slug}/builds`, request)).number) }
    },
  }
}
