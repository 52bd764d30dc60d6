// SPDX-License-Identifier: MIT
import Glibc
import PomeloContract
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloSupervision

/// Processes that a real ssh daemon runs.
@Suite(.serialized, .enabled("needs an ssh daemon") { await SecureShell.isInstalled() })
struct FarProcessTests {
    private final class Run: Sendable {
        let shell: SecureShell
        let folder: Folder
        let said = Journal<String>()
        let supervisor: Supervisor

        @Loop init() async throws {
            let (folder, said) = (try Folder(), said)
            self.folder = folder
            shell = try await SecureShell.start()
            supervisor = try Supervisor(folder: folder.path, endsAll: false) { said.note($0) }
        }

        /// A script of a machine far away, as process `a`.
        @Loop func plan(
            _ script: String, _ words: [String] = [], _ variables: [String: String] = [:],
            _ restarts: RestartRule = .never
        ) throws -> ProcessPlan {
            let line = ["/bin/sh", "-c", script, "a"] + words
            let command = FarProcess.command(shell.words, "far", in: folder.path, line)
            var plan = ProcessPlan("a", .backend, command, restarts: restarts)
            plan.far = try FarProcess(variables)
            return plan
        }

        @Loop func start(_ plan: ProcessPlan) async throws {
            try supervisor.start(plan)
            try await supervisor.untilUp()
        }

        /// The far end's number.
        func pid() throws -> Int32 { try #require(Int32(folder.text("pid").dropLast())) }
        func isGone() throws -> Bool { kill(try pid(), 0) != 0 }

        @Loop func end() async {
            await supervisor.stop()
            await shell.stop()
        }
    }

    private static let serving = "echo $$ >pid; echo up a; exec sleep 1000"

    /// In its folder, with words and variables as they are, of which none is on a command line.
    @Test @Loop func whatItIsGiven() async throws {
        let run = try await Run()
        let word = "it's \"$HOME\" `id` \\n; #"
        let script = #"printf '%s|%s' "$1" "$SECRET" >given; ps -eo args >lines; echo up a; exec sleep 1000"#
        try await run.start(try run.plan(script, [word], ["SECRET": word + " =hidden"]))
        #expect(run.folder.text("given") == "\(word)|\(word) =hidden")
        #expect(run.folder.text("lines").contains("-o BatchMode=yes") && !run.folder.text("lines").contains("=hidden"))
        await run.end()
    }

    /// By itself, having been asked; its output is in the log of the near end.
    @Test @Loop func itIsAskedToEnd() async throws {
        let run = try await Run()
        let script = "trap 'echo bye; exit 0' TERM; echo $$ >pid; echo up a; while :; do sleep 0.02; done"
        try await run.start(try run.plan(script))
        await run.supervisor.stop(try #require(run.supervisor["a"]))
        #expect(try run.isGone() && run.folder.text("a.log") == "up a\nbye\n" && run.said.entries == [])
        await run.end()
    }

    @Test @Loop func itIsKilled() async throws {
        let run = try await Run()
        try await run.start(try run.plan("trap '' TERM; \(Self.serving)"))
        await run.supervisor.kill(try #require(run.supervisor["a"]))
        #expect(try run.isGone() && run.supervisor["a"]?.state == .down)
        await run.end()
    }

    /// Whether it ended by itself, and how, is known as of one that is near.
    @Test @Loop func itIsStartedAgain() async throws {
        let run = try await Run()
        let script = "echo $$ >>pids; echo up a; while [ ! -e end ]; do sleep 0.02; done; rm end; exit 7"
        try await run.start(try run.plan(script, [], [:], .atMost(1)))
        try run.folder.append("", to: "end")
        try await eventually("it runs again") {
            run.supervisor["a"]?.restarts == 1 && run.supervisor["a"]?.state == .up
        }
        #expect(run.said.entries == ["a ended (status 7); restarted"])
        await run.end()
        #expect(run.folder.text("pids").split(separator: "\n").count == 2)
    }

    /// When the ssh is gone the far end has nobody any more, and ends, although it would not.
    @Test @Loop func itDoesNotOutliveItsConnection() async throws {
        let run = try await Run()
        try await run.start(try run.plan("trap '' TERM; \(Self.serving)"))
        #expect(try !run.isGone())
        kill(-(run.supervisor["a"]?.pid ?? 0), SIGKILL)
        try await eventually("the far end is gone", within: .seconds(20)) { try run.isGone() }
        await run.end()
    }

    /// The next supervisor finds the ssh running, and knows the way to the far end.
    @Test @Loop func itIsAdopted() async throws {
        let run = try await Run()
        try await run.start(try run.plan(Self.serving))
        let said = run.said
        let next = try Supervisor(folder: run.folder.path, endsAll: false) { said.note($0) }
        try next.start(try run.plan(Self.serving))
        #expect(try await next.untilUp() && next["a"]?.pid == run.supervisor["a"]?.pid)
        await next.stop(try #require(next["a"]))
        #expect(try run.isGone())
        await run.end()
    }

    @Test @Loop func aHostThatIsNotThere() async throws {
        let run = try await Run()
        var plan = ProcessPlan(
            "a", .backend, FarProcess.command(run.shell.words, "nobody.invalid", in: "/", ["true"]), restarts: .never)
        plan.far = try FarProcess([:])
        try run.supervisor.start(plan)
        let error = await #expect(throws: PomeloError.self) { try await run.supervisor.untilUp() }
        #expect(error?.message.contains("nobody.invalid") == true)
        await run.end()
    }
}

/// What ssh is told before it is there.
@Suite struct FarCommandTests {
    @Test @Loop func aVariableOfSeveralLinesIsNamed() {
        let error = #expect(throws: NetworkError.self) { try FarProcess(["POMELO_X": "a\nb"]) }
        #expect(error?.description.contains("POMELO_X") == true)
    }

    /// Nothing of ours is an option, whatever a host is called; no password is asked for.
    @Test @Loop func theLine() {
        let command = FarProcess.command(["ssh", "-F", "x"], "-oProxyCommand=evil", in: "/", ["a"])
        #expect(command.executable == "ssh" && command.arguments.prefix(5) == ["-F", "x", "-T", "-o", "BatchMode=yes"])
        let end = command.arguments.suffix(3)
        #expect(end.first == "--" && end.dropFirst().first == "-oProxyCommand=evil")
    }
}
