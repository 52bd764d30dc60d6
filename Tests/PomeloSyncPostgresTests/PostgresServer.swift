// SPDX-License-Identifier: MIT
#if Postgres
    import PomeloLibc
    import PomeloLoop
    import PomeloSync
    import PomeloSyncPostgres
    import PomeloUV
    import TestHelpers
    import Testing

    /// A real server of a test's own, on a free port of 127.0.0.1 and in a folder that goes with it.
    ///
    /// PostgreSQL does not run as root: then it is `postgres`, whom Debian's package brings along. The kernel ends it
    /// with this process.
    @Loop final class PostgresServer {
        private static let tools = """
            PATH="$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH"
            export PGPASSWORD=secret
            as=; [ "$(id -u)" != 0 ] || as='setpriv --reuid=postgres --regid=postgres --clear-groups'

            """
        /// Below the kernel's own range, and not where tests start Redis.
        private static var nextPort = 12_000 + Int(getpid()) * 61 % 7_000

        private(set) var port = 0
        private var folder = ""
        private var child: ChildProcess?
        private var exited = FirstOutcome<Void>()
        private var lastLines: [String] = []

        static func isInstalled() async -> Bool {
            do { return try await shell("command -v initdb && command -v postgres").ending == .exited(0) } catch {
                return false
            }
        }

        static func start() async throws -> PostgresServer {
            let server = PostgresServer()
            let made = try await shell(
                """
                folder=$(mktemp -d) && chmod 711 "$folder" && mkdir "$folder/data" && echo secret >"$folder/password"
                [ -z "$as" ] || chown -R postgres "$folder"
                $as initdb -D "$folder/data" -U pomelo -A scram-sha-256 --pwfile="$folder/password" --no-sync -E UTF8 \\
                    --locale=C.UTF-8 >/dev/null && echo "folder=$folder"
                """)
            guard let line = made.lines.first(where: { $0.hasPrefix("folder=") }) else {
                throw Unmet(description: "initdb: \(made.lines)")
            }
            server.folder = String(line.dropFirst(7))
            for _ in 0..<5 {
                nextPort += 1
                server.port = nextPort
                if try await server.launch() { return server }
            }
            throw Unmet(description: "postgres did not start: \(server.lastLines)")
        }

        func url(password: String = "secret", port: Int? = nil) -> String {
            "postgresql://pomelo:\(password)@127.0.0.1:\(port ?? self.port)/postgres"
        }

        /// Ends it and removes its folder.
        func stop() async {
            await kill9()
            _ = try? await Self.shell("rm -rf '\(folder)'")
        }

        /// Ends it as a crash does.
        func kill9() async {
            child?.signal(SIGKILL)
            await exited.wait()
        }

        /// Starts it again, on the same port and with its data.
        func restart() async throws {
            await kill9()
            // Its own processes see that it is gone, and end, a moment later.
            try await eventually("postgres is up again", within: .seconds(20), every: .milliseconds(100)) {
                try await launch()
            }
        }

        private func launch() async throws -> Bool {
            let ready = FirstOutcome<Bool>()
            let exited = FirstOutcome<Void>()
            self.exited = exited
            let script =
                Self.tools + """
                    [ -n "$as" ] || as=setpriv
                    exec $as --pdeathsig KILL postgres -D '\(folder)/data' -c listen_addresses=127.0.0.1 \\
                        -c port=\(port) -c unix_socket_directories= -c fsync=off -c deadlock_timeout=100 2>&1
                    """
            child = try ChildProcess(
                ChildProcess.Command("/bin/sh", ["-c", script], directory: "/"),
                onLine: { [weak self] line in
                    self?.lastLines = (self?.lastLines.suffix(5) ?? []) + [line]
                    if line.contains("ready to accept connections") { ready.end(with: true) }
                },
                onExit: { _ in
                    ready.end(with: false)
                    exited.end()
                })
            return await ready.wait()
        }

        /// Says something to it from outside, and returns the lines of the answer.
        @discardableResult
        func psql(_ sql: String) async throws -> [String] {
            let said = try await Self.shell("psql -qAtX -v ON_ERROR_STOP=1 '\(url())' <<'END'\n\(sql)\nEND")
            guard said.ending == .exited(0) else { throw Unmet(description: "\(sql): \(said.lines)") }
            return said.lines
        }

        /// Runs a body while another transaction has a table for itself.
        func locking(_ table: String, _ body: @Loop () async throws -> Void) async throws {
            let sql = "BEGIN; LOCK TABLE \(table); SELECT 'locks', pg_sleep(600);"
            let holder = Task { _ = try? await self.psql(sql) }
            try await eventually("the table is locked") {
                try await psql(
                    "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' "
                        + "AND relation = '\(table)'::regclass") == ["1"]
            }
            let result: Result<Void, any Error>
            do { result = .success(try await body()) } catch { result = .failure(error) }
            if child?.status == nil {
                _ = try? await psql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%''locks''%'"
                        + " AND pid <> pg_backend_pid()")
            }
            await holder.value
            try result.get()
        }

        /// What is done to it by its machine.
        func shell(_ script: String) async throws {
            let said = try await Self.shell(script)
            guard said.ending == .exited(0) else { throw Unmet(description: "\(script): \(said.lines)") }
        }

        private static func shell(_ script: String) async throws -> (ending: ChildProcess.Ending, lines: [String]) {
            let end = FirstOutcome<ChildProcess.Ending>()
            var lines: [String] = []
            _ = try ChildProcess(
                ChildProcess.Command("/bin/sh", ["-c", tools + script], directory: "/"), onLine: { lines.append($0) },
                onExit: { end.end(with: $0) })
            return (await end.wait(), lines)
        }
    }
#endif
