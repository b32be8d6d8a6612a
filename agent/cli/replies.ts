/**
 * What the coordinator answers, by the fields that tell its reply from another program's: a wrong --url may well lead to
 * a server that speaks JSON too, and its answer must not be taken for a build. It is no full check: a coordinator of
 * another version may say more.
 */
import type { z } from 'zod'
import type { AgentView, BuildPage, BuildView, MetaDataView, ProjectView, TokenView } from '../../schema/api.ts'

export interface Reply<T> {
  is(json: unknown): json is T
}

/** Of what a job calls, which has a schema for all of it. */
export function replyOf<T>(schema: z.ZodType<T>): Reply<T> {
  return { is: (json): json is T => schema.safeParse(json).success }
}

export const ANY: Reply<unknown> = { is: (_json): _json is unknown => true }
export const PROJECT = one<ProjectView>('slug', 'repository')
export const PROJECTS = list(PROJECT)
export const BUILD = one<BuildView>('project', 'number', 'state', 'jobs')
export const BUILDS = one<BuildPage>('builds', 'next_cursor')
export const META_DATA = one<MetaDataView>('meta_data')
export const AGENT = one<AgentView>('name', 'queue', 'tags', 'running')
export const AGENTS = list(AGENT)
export const TOKEN = one<TokenView>('id', 'kind', 'name')
export const TOKENS = list(TOKEN)
export const NEW_TOKEN = one<TokenView & { readonly token: string }>('id', 'token')
export const SIGN_IN_LINK = one<{ readonly url: string; readonly expires_at: string }>('url', 'expires_at')

function one<T extends object>(...fields: readonly (keyof T & string)[]): Reply<T> {
  return { is: (json): json is T => typeof json === 'object' && json !== null && fields.every((field) => Object.hasOwn(json, field)) }
}

function list<T>(entry: Reply<T>): Reply<readonly T[]> {
  return { is: (json): json is readonly T[] => Array.isArray(json) && json.every((each) => entry.is(each)) }
}
