// SPDX-License-Identifier: MIT
import Glibc
import PomeloContract
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloSupervision

/// Processes of the shell under a supervisor.
@Suite struct SupervisorTests {
    private final class Run: Sendable {
        let folder: Folder
        let supervisor: Supervisor
        let said: Journal<String>

        @Loop init() throws {
            let (folder, said) = (try Folder(), Journal<String>())
            self.folder = folder
            self.said = said
            supervisor = try Supervisor(folder: folder.path) { said.note($0) }
        }

        @Loop func start(
            _ name: String, _ script: String, _ stage: ProcessPlan.Stage = .backend,
            _ restarts: RestartRule = .atMost(3)
        ) throws {
            let command = ChildProcess.Command("/bin/sh", ["-c", script], directory: folder.path)
            try supervisor.start(ProcessPlan(name, stage, command, restarts: restarts))
        }

        @Loop func process(_ name: String) throws -> ManagedProcess {
            try #require(supervisor.processes.first { $0.plan.name == name })
        }
    }

    private static func serving(_ name: String) -> String { "echo up \(name); exec sleep 1000" }

    @Test @Loop func upWhenAllSaySo() async throws {
        let run = try Run()
        try run.start("a", "sleep 0.1; echo some line; echo up a; exec sleep 1000")
        try await run.supervisor.untilUp()
        #expect(try run.process("a").state == .up)
        await run.supervisor.stop()
        #expect(!run.folder.has("a.pid") && run.folder.text("a.log").hasPrefix("some line"))
    }

    @Test @Loop func itsPidIsInAFileWhileItRuns() async throws {
        let run = try Run()
        try run.start("a", Self.serving("a"))
        #expect(try await run.supervisor.untilUp())
        let process = try run.process("a")
        #expect(process.state == .up && run.folder.text("a.pid") == "\(process.pid ?? 0)\n")
        await run.supervisor.stop()
        #expect(!run.folder.has("a.pid") && process.state == .down && run.said.entries == [])
    }

    @Test @Loop func whatEndsAtItsStartIsAnErrorWithTheEndOfItsLog() async throws {
        let run = try Run()
        try run.start("a", "echo one; echo two >&2; exit 3")
        let error = await #expect(throws: PomeloError.self) { try await run.supervisor.untilUp() }
        let log = "\(run.folder.path)/a.log"
        #expect(error?.message == "a did not come up; the end of \(log):\n  one\n  two")
        await run.supervisor.stop()
    }

    @Test @Loop func whatEndsIsStartedAgainAndThenLeftDown() async throws {
        let run = try Run()
        let script = "echo up a; while [ ! -e end ]; do sleep 0.02; done; exit 7"
        try run.start("a", script, .backend, .atMost(2))
        try run.start("b", Self.serving("b"))
        try await run.supervisor.untilUp()
        try run.folder.append("", to: "end")
        let pid = try run.process("b").pid
        try await eventually("a is left down") { try run.process("a").state == .down }
        let log = "\(run.folder.path)/a.log"
        let again = "a ended (status 7); restarted"
        #expect(run.said.entries == [again, again, "a ended (status 7); left down, see \(log)"])
        #expect(try run.process("a").restarts == 2 && run.process("b").pid == pid && run.process("b").restarts == 0)
        await run.supervisor.stop()
    }

    /// One that ends again and again costs the others nothing, and is tried less and less often.
    @Test @Loop func fiftyCrashLoopsDisturbNobody() async throws {
        let (folder, said, clock) = (try Folder(), Journal<String>(), ManualClock())
        let supervisor = try Supervisor(folder: folder.path, clock: clock) { said.note($0) }
        func start(_ name: String, _ script: String) throws {
            let command = ChildProcess.Command("/bin/sh", ["-c", script], directory: folder.path)
            try supervisor.start(ProcessPlan(name, .backend, command, restarts: .always))
        }
        try start("broken", "echo up broken; exit 3")
        try start("well", Self.serving("well"))
        let (broken, well) = (try #require(supervisor["broken"]), try #require(supervisor["well"]))
        try await eventually("one is up") {
            clock.advance(by: .milliseconds(20))
            return well.state == .up
        }
        let pid = well.pid
        for loop in 1...50 {
            try await eventually("loop \(loop)") {
                clock.advance(by: broken.state == .pausing ? .seconds(30) : .milliseconds(20))
                return broken.restarts >= loop
            }
            #expect(well.pid == pid && well.state == .up && well.restarts == 0)
        }
        #expect(Set(said.entries) == ["broken ended (status 3); restarted"] && said.entries.count >= 50)
        // Those that run end by the clock, too.
        let end = Task { await supervisor.stop() }
        try await eventually("all have ended") {
            clock.advance(by: .milliseconds(20))
            return well.state == .down && broken.state == .down
        }
        await end.value
    }

    /// A restart that does not come up is one more end in a row.
    @Test @Loop func whatDoesNotComeUpAgainIsTriedAgain() async throws {
        let run = try Run()
        let script = "if [ -e end ]; then exit 1; fi; echo up a; while [ ! -e end ]; do sleep 0.02; done; exit 2"
        try run.start("a", script, .backend, .atMost(2))
        try await run.supervisor.untilUp()
        try run.folder.append("", to: "end")
        try await eventually("a is left down") { try run.process("a").state == .down }
        let ends = run.said.entries.map { $0.prefix { $0 != ";" } }
        #expect(ends == ["a ended (status 2)", "a ended (status 1)", "a ended (status 1)"])
        await run.supervisor.stop()
    }

    /// What a process leaves running may hold its port; whose it is, is asked by its group alone.
    @Test(arguments: [true, false]) @Loop func whatIsLeftIsEndedByForce(isForce: Bool) async throws {
        let run = try Run()
        let wait = "while [ ! -e end ]; do sleep 0.02; done; rm end; exit 1"
        let script = "sleep 1000 & echo $! >>children; echo up a; \(wait)"
        let command = ChildProcess.Command("/bin/sh", ["-c", script], directory: run.folder.path)
        var plan = ProcessPlan("a", .backend, command, restarts: .always)
        plan.endsRemains = isForce
        try run.supervisor.start(plan)
        try await run.supervisor.untilUp()
        let child = try #require(Int32(run.folder.text("children").dropLast()))
        try run.folder.append("", to: "end")
        try await eventually("it runs again") { run.supervisor["a"]?.restarts == 1 }
        try await eventually("what was left is gone, or there") { (ProcessIdentity(child) == nil) == isForce }
        kill(child, SIGKILL)
        await run.supervisor.kill(try #require(run.supervisor["a"]))
        await run.supervisor.stop()
    }

    @Test @Loop func aSignalIsNamed() async throws {
        let run = try Run()
        try run.start("a", Self.serving("a"), .backend, .never)
        try await run.supervisor.untilUp()
        kill(try run.process("a").pid ?? 0, SIGKILL)
        try await eventually("a is down") { try run.process("a").state == .down }
        #expect(run.said.entries == ["a ended (signal 9); left down, see \(run.folder.path)/a.log"])
        await run.supervisor.stop()
    }

    /// The pages first, then who is reached, then whom they call, then what all of them need.
    @Test @Loop func theyEndInOrder() async throws {
        let run = try Run()
        for stage in ProcessPlan.Stage.allCases {
            let last = "trap 'sleep 0.1; echo \(stage) >>ended; exit 0' TERM"
            try run.start("\(stage)", "\(last); echo up \(stage); while :; do sleep 0.02; done", stage)
        }
        try await run.supervisor.untilUp()
        await run.supervisor.stop()
        #expect(run.folder.text("ended") == "page\nfrontend\nbackend\nstore\n")
        #expect(throws: PomeloError.self) { try run.start("late", Self.serving("late")) }
    }

    /// With its descendants, although it stands still.
    @Test @Loop func whatStandsStillEndsToo() async throws {
        let run = try Run()
        try run.start("a", "sleep 1000 & echo $! >child; echo up a; wait")
        try await run.supervisor.untilUp()
        let child = try #require(Int32(run.folder.text("child").dropLast()))
        kill(try run.process("a").pid ?? 0, SIGSTOP)
        await run.supervisor.stop()
        #expect(try run.process("a").state == .down)
        // It was woken, and had not to be killed.
        #expect(run.said.entries == [])
        kill(child, SIGKILL)
    }

    /// Names are those of files in one folder, some of which are there already.
    @Test(
        arguments: [
            "", ".", "..", "../x", "a/b", ".hidden", "start", "audit", "processes", "m.start", "m.standby", "a",
        ])
    @Loop func aNameThatIsNone(_ name: String) async throws {
        let run = try Run()
        try run.start("a", Self.serving("a"))
        let error = #expect(throws: PomeloError.self) { try run.start(name, Self.serving("x")) }
        #expect(error?.code == .configuration && run.supervisor.processes.count == 1)
        await run.supervisor.stop()
    }

    @Test @Loop func aCommandThatIsNone() async throws {
        let run = try Run()
        let plan = ProcessPlan("a", .backend, .init("/nowhere/at all"), restarts: .never)
        #expect(throws: NetworkError.self) { try run.supervisor.start(plan) }
        #expect(run.supervisor.processes.isEmpty)
        await run.supervisor.stop()
    }
}
