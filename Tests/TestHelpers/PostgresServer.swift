// SPDX-License-Identifier: MIT
#if Postgres
    import PomeloLibc
    package import PomeloLoop
    import PomeloTesting
    import PomeloUV

    /// A real server of a test's own, on a free port of 127.0.0.1 and in a folder that goes with it.
    ///
    /// PostgreSQL does not run as root: then it is `postgres`, whom Debian's package brings along. The kernel ends it
    /// with this process.
    @Loop package final class PostgresServer {
        private static let tools = """
            PATH="$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1):$PATH"
            export PGPASSWORD=secret
            as=; [ "$(id -u)" != 0 ] || as='setpriv --reuid=postgres --regid=postgres --clear-groups'

            """
        private(set) var port = 0
        private var folder = ""
        /// Where it finds its small disk.
        package var disk: String { folder + "/disk" }
        private var hasDisk = false
        private var child: ChildProcess?
        private var exited = FirstOutcome<Void>()
        private var lastLines: [String] = []

        package static func isInstalled() async -> Bool {
            do { return try await shell("command -v initdb && command -v postgres").ending == .exited(0) } catch {
                return false
            }
        }

        /// Whether it can have a disk of its own.
        package static func canMount() async -> Bool {
            do { return try await shell("unshare -m mount -t tmpfs small /mnt").ending == .exited(0) } catch {
                return false
            }
        }

        /// With `hasDisk` there is a disk of 8 MiB, which is empty again after a restart.
        package static func start(hasDisk: Bool = false) async throws -> PostgresServer {
            let server = PostgresServer()
            server.hasDisk = hasDisk
            let made = try await shell(
                """
                folder=$(mktemp -d) && chmod 711 "$folder" && mkdir "$folder/data" "$folder/disk"
                echo secret >"$folder/password"
                [ -z "$as" ] || chown -R postgres "$folder"
                $as initdb -D "$folder/data" -U pomelo -A scram-sha-256 --pwfile="$folder/password" --no-sync -E UTF8 \\
                    --locale=C.UTF-8 >/dev/null && echo "folder=$folder"
                """)
            guard let line = made.lines.first(where: { $0.hasPrefix("folder=") }) else {
                throw Unmet(description: "initdb: \(made.lines)")
            }
            server.folder = String(line.dropFirst(7))
            for _ in 0..<5 {
                server.port = try await TestPorts.next()
                if try await server.launch() { return server }
            }
            throw Unmet(description: "postgres did not start: \(server.lastLines)")
        }

        package func url(password: String = "secret", port: Int? = nil) -> String {
            "postgresql://pomelo:\(password)@127.0.0.1:\(port ?? self.port)/postgres"
        }

        /// Ends it and removes its folder.
        package func stop() async {
            await kill9()
            _ = try? await Self.shell("rm -rf '\(folder)'")
        }

        /// Ends it as a crash does.
        package func kill9() async {
            child?.signal(SIGKILL)
            await exited.wait()
        }

        /// Starts it again, on the same port and with its data.
        package func restart() async throws {
            await kill9()
            // Its own processes see that it is gone, and end, a moment later.
            try await Self.soon("postgres is up again") { try await launch() }
        }

        private func launch() async throws -> Bool {
            let ready = FirstOutcome<Bool>()
            let exited = FirstOutcome<Void>()
            self.exited = exited
            let mount =
                hasDisk
                ? "unshare -m sh -c 'mount -t tmpfs -o size=8m,uid=postgres small \"$0\" && exec \"$@\"' '\(disk)'" : ""
            let script =
                Self.tools + """
                    [ -n "$as" ] || as=setpriv
                    exec \(mount) $as --pdeathsig KILL postgres -D '\(folder)/data' -c listen_addresses=127.0.0.1 \\
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
        package func psql(_ sql: String) async throws -> [String] {
            let said = try await Self.shell("psql -qAtX -v ON_ERROR_STOP=1 '\(url())' <<'END'\n\(sql)\nEND")
            guard said.ending == .exited(0) else { throw Unmet(description: "\(sql): \(said.lines)") }
            return said.lines
        }

        /// Runs a body while another transaction has a table for itself.
        package func locking(_ table: String, _ body: @Loop () async throws -> Void) async throws {
            let sql = "BEGIN; LOCK TABLE \(table); SELECT 'locks', pg_sleep(600);"
            let holder = Task { _ = try? await self.psql(sql) }
            try await Self.soon("the table is locked") {
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

        // `eventually` cannot be called here: the compiler takes its actor for internal then.
        private static func soon(_ what: String, _ condition: @Loop () async throws -> Bool) async throws {
            let limit = SystemClock.shared.deadline(after: .seconds(20))
            while try await !condition() {
                guard SystemClock.shared.now < limit else { throw Unmet(description: what) }
                await SystemClock.shared.sleep(for: .milliseconds(50))
            }
        }

        /// What is done to it by its machine.
        package func shell(_ script: String) async throws {
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
