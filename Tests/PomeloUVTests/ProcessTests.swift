// SPDX-License-Identifier: MIT
import Glibc
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

@Suite struct ChildProcessTests {
    fileprivate struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let command: ChildProcess.Command
        var lines: [String] = []
        var status = ChildProcess.Ending.exited(0)
    }

    private static func shell(
        _ name: String, _ script: String, environment: [String: String] = [:], directory: String? = nil,
        lines: [String] = [], status: ChildProcess.Ending = .exited(0)
    ) -> Case {
        let command = ChildProcess.Command(
            "/bin/sh", ["-c", script], environment: environment, directory: directory)
        return Case(testDescription: name, command: command, lines: lines, status: status)
    }

    fileprivate static let cases: [Case] = [
        shell("nothing", "true"),
        shell("exit status", "exit 3", status: .exited(3)),
        shell("ended by a signal", "kill -TERM $$", status: .signalled(15)),
        shell("lines", "echo one; echo; echo three", lines: ["one", "", "three"]),
        shell("standard error", "echo oops >&2", lines: ["oops"]),
        shell("a last line without its end", "printf 'a\\nb'", lines: ["a", "b"]),
        shell("no input", "cat; echo end", lines: ["end"]),
        shell("environment added", "echo $PLANET", environment: ["PLANET": "mars"], lines: ["mars"]),
        shell("environment wins", "echo $HOME", environment: ["HOME": "/elsewhere"], lines: ["/elsewhere"]),
        shell("environment kept", "test -n \"$PATH\" && echo kept", lines: ["kept"]),
        shell("directory", "pwd", directory: "/usr", lines: ["/usr"]),
        shell("output after the exit", "(sleep 0.1; echo late) & echo early", lines: ["early", "late"]),
        Case(
            testDescription: "a name looked up in PATH", command: .init("echo", ["a b", "$c", ""]),
            lines: ["a b $c "]),
    ]

    @Test(arguments: cases) @Loop fileprivate func reportsLinesAndEnd(test: Case) async throws {
        let lines = Journal<String>()
        let ends = Journal<ChildProcess.Ending>()
        let child = try ChildProcess(test.command, onLine: { lines.note($0) }, onExit: { ends.note($0) })
        #expect(child.pid > 0)
        await until("ended, and all was read") {
            !ends.entries.isEmpty && lines.entries.count >= test.lines.count
        }
        #expect(lines.entries == test.lines)
        #expect(ends.entries == [test.status])
        #expect(child.status == test.status)
    }

    @Test @Loop func aSignalEndsIt() async throws {
        let lines = Journal<String>()
        let child = try ChildProcess(
            .init(
                "/bin/sh", ["-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done"]),
            onLine: { lines.note($0) })
        await until("ready") { lines.entries == ["ready"] }
        child.signal(SIGTERM)
        await until("ended") { child.status != nil }
        #expect(child.status == .exited(7))
        await until("its last word") { lines.entries == ["ready", "bye"] }
        child.signal(SIGKILL)
        #expect(child.status == .exited(7))
    }

    @Test @Loop func aLongLineIsCut() async throws {
        let lines = Journal<String>()
        _ = try ChildProcess(
            .init("/bin/sh", ["-c", "head -c 200000 /dev/zero | tr '\\0' x; echo"]),
            onLine: { lines.note($0) })
        await until("all was read") { lines.entries.map(\.utf8.count).reduce(0, +) >= 200_000 }
        #expect(lines.entries.map(\.utf8.count) == [65_536, 65_536, 65_536, 3392])
    }

    @Test(arguments: [
        ChildProcess.Command("/no/such/program"), ChildProcess.Command("no-such-name"),
        ChildProcess.Command("/bin/true", directory: "/no/such/directory"),
    ])
    @Loop func whatCannotBeStartedIsNamed(command: ChildProcess.Command) async {
        let error = await failure { () throws(NetworkError) in try ChildProcess(command) }
        #expect(error?.code == "ENOENT")
        #expect(error?.description.contains(command.executable) == true)
    }

    /// The kernel tells of an end as soon as it tells of the last bytes, in any order.
    @Test @Loop func theEndComesAfterTheLastLine() async throws {
        let (seen, missing) = (Journal<Int>(), Journal<Int>())
        for number in 0..<60 {
            var last = ""
            _ = try ChildProcess(
                .init("/bin/sh", ["-c", "head -c 30000 /dev/zero | tr '\\0' x; echo; echo last"]),
                onLine: { last = $0 },
                onExit: { _ in last == "last" ? seen.note(number) : missing.note(number) })
        }
        await until("all ended") { seen.entries.count + missing.entries.count == 60 }
        #expect(missing.entries == [])
    }

    /// A child of its own keeps the output open.
    @Test @Loop func anOutputThatStaysOpenDoesNotHideTheEnd() async throws {
        let ends = Journal<ChildProcess.Ending>()
        _ = try ChildProcess(.init("/bin/sh", ["-c", "sleep 2 & exit 3"]), onExit: { ends.note($0) })
        await until("ended") { ends.entries == [.exited(3)] }
    }

    @Test @Loop func manyAtOnceAllEnd() async throws {
        let ends = Journal<ChildProcess.Ending>()
        for number in 0..<30 {
            _ = try ChildProcess(.init("/bin/sh", ["-c", "exit \(number)"]), onExit: { ends.note($0) })
        }
        await until("all ended") { ends.entries.count == 30 }
        #expect(Set(ends.entries.map { "\($0)" }) == Set((0..<30).map { "\(ChildProcess.Ending.exited($0))" }))
    }
}

@Suite struct SignalTests {
    /// In a process of its own: a signal nobody watches would end the whole run.
    @Test func everyWatcherHearsASignalUntilItStops() async {
        await #expect(processExitsWith: .success) {
            let heard = Journal<String>()
            let (first, second) = try await Loop.run {
                (
                    try SignalWatcher(SIGUSR1) { heard.note("first") },
                    try SignalWatcher(SIGUSR1) { heard.note("second") }
                )
            }
            kill(getpid(), SIGUSR1)
            await until("both heard") { heard.entries.count == 2 }
            let both = await heard.entries
            #expect(both.sorted() == ["first", "second"])
            await first.stop()
            await first.stop()
            kill(getpid(), SIGUSR1)
            await until("the other heard") { heard.entries.count == 3 }
            let last = await heard.entries.last
            #expect(last == "second")
            await second.stop()
        }
    }

    @Test func aStoppedWatcherRestoresTheSignalsEffect() async {
        await #expect(processExitsWith: .signal(SIGUSR2)) {
            try await Loop.run {
                let watcher = try SignalWatcher(SIGUSR2) {}
                watcher.stop()
                await turns(2)
            }
            kill(getpid(), SIGUSR2)
            await turns(1000)
        }
    }

    @Test @Loop func aSignalThatCannotBeWatchedIsAnError() async {
        let error = await failure { () throws(NetworkError) in try SignalWatcher(SIGKILL) {} }
        #expect(error?.code == "EINVAL")
    }
}
