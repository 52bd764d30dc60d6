// SPDX-License-Identifier: MIT
import Foundation
import Glibc
import PomeloContract
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloSupervision

/// What the next supervisor of a folder makes of what the last one has left.
@Suite struct AdoptionTests {
    private static let script = "echo up a; exec sleep 1000"

    @Loop private func plan(_ folder: Folder, _ restarts: RestartRule = .never) -> ProcessPlan {
        ProcessPlan("a", .backend, .init("/bin/sh", ["-c", Self.script], directory: folder.path), restarts: restarts)
    }

    @Loop private func supervisor(_ folder: Folder, _ said: Journal<String>) throws -> Supervisor {
        try Supervisor(folder: folder.path, endsAll: false) { said.note($0) }
    }

    @Test @Loop func whatRunsIsAdopted() async throws {
        let (folder, said) = (try Folder(), Journal<String>())
        let first = try supervisor(folder, said)
        try first.start(plan(folder))
        try await first.untilUp()
        let pid = try #require(first["a"]?.pid)
        let second = try supervisor(folder, said)
        try second.start(plan(folder, .atMost(3)))
        #expect(try await second.untilUp())
        #expect(said.entries == ["a runs already, as process \(pid): adopted"])
        #expect(second["a"]?.pid == pid && second["a"]?.state == .up)
        kill(pid, SIGKILL)
        try await eventually("it runs again") { second["a"]?.state == .up && second["a"]?.pid != pid }
        #expect(said.entries.last == "a ended; restarted")
        await second.stop()
        #expect(second["a"]?.state == .down && SupervisorState.load(folder.path) == SupervisorState())
    }

    /// The number of a process that has ended may be another one's by now; that one is nobody's business.
    @Test @Loop func anotherProcessOfThatNumberIsNot() async throws {
        let (folder, said) = (try Folder(), Journal<String>())
        let stranger = try ChildProcess(.init("sleep", ["1000"]))
        let boot = try #require(ProcessIdentity(stranger.pid))
        try folder.append(
            #"{"running": {"a": {"pid": \#(stranger.pid), "began": "\#(boot.began)0"}}, "stopped": []}"#,
            to: "processes.json")
        let supervisor = try supervisor(folder, said)
        try supervisor.start(plan(folder))
        try await supervisor.untilUp()
        #expect(said.entries == [] && supervisor["a"]?.pid != stranger.pid)
        await supervisor.stop()
        #expect(stranger.status == nil)
        stranger.signal(SIGKILL)
    }

    @Test(arguments: ["", "{", "[]", #"{"running": {"a": 7}}"#, #"{"running": {"a": {"pid": 99999999999}}}"#])
    @Loop func aFileThatIsNoneCostsOnlyTheAdoption(_ text: String) async throws {
        let (folder, said) = (try Folder(), Journal<String>())
        try folder.append(text, to: "processes.json")
        let supervisor = try supervisor(folder, said)
        try supervisor.start(plan(folder))
        #expect(try await supervisor.untilUp())
        await supervisor.stop()
    }

    /// What could not be written down, on a full disk for instance, is there once it can.
    @Test @Loop func whatCouldNotBeWrittenIsWrittenLater() async throws {
        let (folder, said) = (try Folder(), Journal<String>())
        let path = "\(folder.path)/processes.json"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let first = try supervisor(folder, said)
        try first.start(plan(folder))
        try await first.untilUp()
        #expect(said.entries.count == 1 && said.entries[0].hasPrefix("processes.json: "))
        #expect(!said.entries[0].contains("NSCocoa"))
        try FileManager.default.removeItem(atPath: path)
        let pid = try #require(first["a"]?.pid)
        try await eventually("it is written") { SupervisorState.load(folder.path).running["a"]?.pid == pid }
        #expect(Supervisor.killAll(in: folder.path) == ["a"])
        await first.stop()
    }

    /// However much cannot be written, one timer waits for it.
    @Test @Loop func allThatCouldNotBeWrittenWaitsForOneAttempt() async throws {
        let (folder, said, clock) = (try Folder(), Journal<String>(), ManualClock())
        let path = "\(folder.path)/processes.json"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let first = try Supervisor(folder: folder.path, endsAll: false, clock: clock) { said.note($0) }
        let before = clock.pendingTimers
        for number in 0..<50 { first.noteAdded("a-\(number)", []) }
        #expect(clock.pendingTimers == before + 1 && said.entries.count == 1)
        clock.advance(by: .seconds(5))
        #expect(clock.pendingTimers == before + 1 && said.entries.count == 1)
        try FileManager.default.removeItem(atPath: path)
        clock.advance(by: .seconds(1))
        #expect(clock.pendingTimers == before && SupervisorState.load(folder.path).added?.count == 50)
    }

    @Test func aFileIsWrittenOver() throws {
        let folder = try Folder()
        try folder.append("a longer text", to: "file")
        #expect(Files.overwrite("\(folder.path)/file", Data("short".utf8)) && folder.text("file") == "short")
        #expect(!Files.overwrite("\(folder.path)/none", Data()) && !folder.has("none"))
    }

    /// By number and moment of birth, whoever keeps it; but for the process that does so.
    @Test @Loop func whatIsKeptIsKilledByForce() async throws {
        let (folder, said) = (try Folder(), Journal<String>())
        let keeping = "echo up a; trap '' TERM; while :; do sleep 0.05; done"
        let first = try supervisor(folder, said)
        try first.start(ProcessPlan("a", .backend, .init("/bin/sh", ["-c", keeping]), restarts: .never))
        try await first.untilUp()
        #expect(Supervisor.killAll(in: folder.path) == ["a"])
        try await eventually("it is gone") { first["a"]?.state == .down }
        #expect(Supervisor.killAll(in: folder.path) == [])
        await first.stop()
    }

    /// Should the supervisor be gone between its two halves, the next one starts it.
    @Test @Loop func aRestartIsNoStop() async throws {
        let (folder, said) = (try Folder(), Journal<String>())
        let first = try supervisor(folder, said)
        let script = """
            trap 'touch ending; while [ ! -e go ]; do sleep 0.02; done; exit 0' TERM
            echo up a; while :; do sleep 0.02; done
            """
        try first.start(
            ProcessPlan("a", .backend, .init("/bin/sh", ["-c", script], directory: folder.path), restarts: .never))
        try await first.untilUp()
        let process = try #require(first["a"])
        async let restarted: Void = first.restart(process)
        try await eventually("it ends") { folder.has("ending") }
        #expect(SupervisorState.load(folder.path).stopped == [])
        try folder.append("", to: "go")
        try await restarted
        #expect(first["a"]?.state == .up)
        await first.stop()
    }

    @Test @Loop func oneThatWasAddedInVainIsForgotten() async throws {
        let (folder, said) = (try Folder(), Journal<String>())
        let first = try supervisor(folder, said)
        try first.start(plan(folder))
        first.noteAdded("a", ["id=a"])
        #expect(SupervisorState.load(folder.path).added == ["a": ["id=a"]])
        await first.forget(try #require(first["a"]))
        #expect(first["a"] == nil && SupervisorState.load(folder.path).added == [:])
        try first.start(plan(folder))
        #expect(try await first.untilUp())
        await first.stop()
    }

    @Test @Loop func whatWasStoppedOnPurposeStaysDown() async throws {
        let (folder, said) = (try Folder(), Journal<String>())
        let first = try supervisor(folder, said)
        try first.start(plan(folder))
        try await first.untilUp()
        await first.stop(try #require(first["a"]))
        let second = try supervisor(folder, said)
        try second.start(plan(folder))
        #expect(try await second.untilUp())
        #expect(second["a"]?.state == .down && said.entries == ["a was stopped on purpose, and is left down"])
        try await second.start(try #require(second["a"]))
        #expect(second["a"]?.state == .up)
        await second.stop()
        // An end of all is no such purpose.
        let third = try supervisor(folder, said)
        try third.start(plan(folder))
        try await third.untilUp()
        #expect(third["a"]?.state == .up)
        await third.stop()
    }
}
