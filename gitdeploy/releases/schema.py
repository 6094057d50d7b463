"""The tables of state.db. Every statement can run again: an older file gets what it lacks."""

from __future__ import annotations

SCHEMA_VERSION = 6
SCHEMA = """
CREATE TABLE IF NOT EXISTS deployments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL,
    record TEXT NOT NULL UNIQUE,
    trigger TEXT NOT NULL,
    ref TEXT NOT NULL DEFAULT '',
    commit_id TEXT NOT NULL DEFAULT '',
    subject TEXT NOT NULL DEFAULT '',
    pusher TEXT NOT NULL DEFAULT '',
    strategy TEXT NOT NULL DEFAULT '',
    version TEXT NOT NULL DEFAULT '',
    tree TEXT NOT NULL DEFAULT '',
    image TEXT NOT NULL DEFAULT '',
    digest TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL,
    stage TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    hint TEXT NOT NULL DEFAULT '',
    exit_code INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    outage REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    config TEXT NOT NULL DEFAULT '',
    retained INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS deployments_app ON deployments (app, id);
CREATE TABLE IF NOT EXISTS stages (
    deployment INTEGER NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    started REAL NOT NULL,
    seconds REAL,
    status TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS tasks (
    deployment INTEGER NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    moment TEXT NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    exit_code INTEGER,
    PRIMARY KEY (deployment, name)
);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    due REAL NOT NULL,
    trigger TEXT NOT NULL,
    deployment INTEGER NOT NULL DEFAULT 0,
    version TEXT NOT NULL DEFAULT '',
    status TEXT NOT NULL,
    started REAL,
    ended REAL,
    exit_code INTEGER,
    error TEXT NOT NULL DEFAULT '',
    UNIQUE (app, name, due)
);
CREATE TABLE IF NOT EXISTS looked (only INTEGER PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS unscheduled (app TEXT PRIMARY KEY, deployment INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS seen (app TEXT PRIMARY KEY, patterns TEXT NOT NULL, tips TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS bound (app TEXT PRIMARY KEY, token TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stopped (app TEXT PRIMARY KEY, since REAL NOT NULL);
CREATE TABLE IF NOT EXISTS scaled (
    app TEXT NOT NULL,
    process TEXT NOT NULL,
    replicas INTEGER NOT NULL,
    PRIMARY KEY (app, process)
);
CREATE TABLE IF NOT EXISTS ages (app TEXT PRIMARY KEY, ages BLOB NOT NULL, key TEXT NOT NULL, known INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS stages_deployment ON stages (deployment);
"""
