/** One project: what it builds, a form that starts a build, and its builds. */
import type { BuildPage, Problem, ProjectView } from '../../schema/api.ts'
import { BuildList, refreshOf, type BuildsQuery } from './builds.tsx'
import { Crumbs, Page, type PageFrame } from './layout.tsx'
import { mayBuild } from './may.ts'

/** What was typed into the form that starts a build, and what was wrong with it. */
export interface BuildForm {
  readonly values: Readonly<Partial<Record<BuildField, string>>>
  readonly problem: Pick<Problem, 'detail' | 'errors'> | null
}
export type BuildField = (typeof BUILD_FIELDS)[number]
export const BUILD_FIELDS = ['branch', 'commit', 'command', 'message'] as const

interface ProjectProps {
  readonly frame: PageFrame
  readonly project: ProjectView
  readonly page: BuildPage
  readonly query: BuildsQuery
  readonly form: BuildForm
  /** Makes a form that is sent twice start one build. */
  readonly formKey: string
  readonly islands: readonly string[]
}

export function ProjectPage({ frame, project, page, query, form, formKey, islands }: ProjectProps) {
  const isEmpty = page.builds.length === 0 && query.state === undefined && query.branch === undefined && query.cursor === undefined
  return (
    <Page frame={frame} title={project.slug} at="projects" {...(form.problem === null ? { refreshMs: refreshOf(page) } : {})} islands={islands}>
      <Crumbs above={[{ href: '/projects', name: 'Projects' }]} />
      <div class="head">
        <h1>{project.slug}</h1>
        <p class="facts">
          {project.repository === null ? <span>no repository; runs in an empty folder</span> : <code>{project.repository}</code>}
          {project.default_branch !== null && <span class="branch">{project.default_branch}</span>}
        </p>
      </div>
      {mayBuild(frame.principal) && <StartBuild project={project} form={form} formKey={formKey} open={isEmpty || form.problem !== null} />}
      <BuildList frame={frame} page={page} query={query} path={`/projects/${project.slug}`} showProject={false} empty={<p class="none">No build of {project.slug} yet.</p>} />
    </Page>
  )
}

function StartBuild({ project, form, formKey, open }: { readonly project: ProjectView; readonly form: BuildForm; readonly formKey: string; readonly open: boolean }) {
  const shown: readonly BuildField[] = project.checkout ? BUILD_FIELDS : ['message', 'command']
  const unseen = (form.problem?.errors ?? []).filter(({ path }) => !shown.some((name) => name === path))
  const field = (name: BuildField) => {
    const error = form.problem?.errors?.find(({ path }) => path === name)
    return { name, value: form.values[name] ?? '', ...(error ? { error: error.message } : {}) }
  }
  return (
    <details class="start" {...(open ? { open: true } : {})}>
      <summary>Start a build</summary>
      <form method="post" action={`/projects/${project.slug}/builds`}>
        {form.problem !== null && <p class="problem" role="alert">{[form.problem.detail, ...unseen.map(({ path, message }) => `"${path}" ${message}.`)].join(' ')}</p>}
        {/* Kept by the refresh, which would otherwise change it under a form that is being filled in. */}
        <input type="hidden" name="key" value={formKey} data-keep="key" autocomplete="off" />
        {shown.includes('branch') && <Field label="Branch" {...field('branch')} placeholder={project.default_branch ?? 'main'} />}
        {shown.includes('commit') && <Field label="Commit" {...field('commit')} placeholder="the branch's newest" />}
        <Field label="Message" {...field('message')} placeholder="what it is for" />
        <Field label="Command" {...field('command')} placeholder={project.command ?? 'npm test'} lines={3} />
        <button class="primary">Start build</button>
      </form>
    </details>
  )
}

interface FieldProps {
  readonly label: string
  readonly name: BuildField
  readonly value: string
  readonly placeholder: string
  readonly error?: string
  readonly lines?: number
}

function Field({ label, name, value, placeholder, error, lines }: FieldProps) {
  const attributes = { name, placeholder, autocapitalize: 'off' as const, spellcheck: false, ...(error ? { 'aria-invalid': true, 'aria-describedby': `${name}-error` } : {}) }
  return (
    <label class={lines ? 'wide' : ''}>
      <span>{label}</span>
      {lines ? <textarea rows={lines} {...attributes}>{value}</textarea> : <input value={value} autocomplete="off" {...attributes} />}
      {error && <span class="error" id={`${name}-error`}>{label} {error}</span>}
    </label>
  )
}
