import { defineConfig } from 'drizzle-kit'

export default defineConfig({ dialect: 'sqlite', driver: 'durable-sqlite', schema: './schema/tables.ts', out: './schema/migrations' })
