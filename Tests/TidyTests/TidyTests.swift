// SPDX-License-Identifier: MIT
//
// Tests of the source itself: the rules of ARCHITECTURE.md, "House rules", that a compiler does not check.
import Foundation
import Testing

@Suite struct TidyTests {
    /// Where memory may be touched by hand.
    static let unsafeTargets: Set = ["PomeloLoop", "PomeloUV", "PomeloRedis"]
    /// Who may ask the system for time and chance.
    static let timeTargets: Set = ["PomeloLoop"]

    @Test(arguments: Project.sources + Project.tests)
    func filesAreShort(_ file: SourceFile) {
        #expect(file.lines.count <= 401, "\(file.path): split it by topic, no file is longer than 400 lines")
        for (index, line) in file.lines.enumerated() {
            #expect(line.count <= 120, "\(file.path):\(index + 1): break the line")
        }
        #expect(file.lines.first == "// SPDX-License-Identifier: MIT", "\(file.path): begin with the licence line")
    }

    @Test(arguments: Project.sources)
    func functionsAreShort(_ file: SourceFile) {
        var starts: [(indent: Int, line: Int)] = []
        for (number, text) in file.code {
            let indent = text.prefix { $0 == " " }.count
            if text.contains(/\b(func |init[?(<]|subscript)/), text.hasSuffix("{") || text.hasSuffix("(") {
                starts.append((indent, number))
            }
            if text.trimmingCharacters(in: .whitespaces) == "}", let start = starts.last, start.indent == indent {
                starts.removeLast()
                #expect(
                    number - start.line <= 60,
                    "\(file.path):\(start.line): extract a part, no function is longer than 60 lines")
            }
        }
    }

    @Test(arguments: Project.sources)
    func importsFollowTheLayerTable(_ file: SourceFile) throws {
        let table = try LayerTable.parsed()
        guard let allowed = table.allowed[file.target] else {
            Issue.record("\(file.target) has no row in ARCHITECTURE.md's layer table: add it")
            return
        }
        for (number, text) in file.code {
            guard let match = text.firstMatch(of: /^ *(?:@\w+ )*(?:public |internal |private )?import (\w+)/) else {
                continue
            }
            let module = String(match.1)
            #expect(
                allowed.contains(module),
                "\(file.path):\(number): \(file.target) may not import \(module); see the layer table")
        }
    }

    @Test(arguments: Project.sources)
    func onlyTheRimsAreUnsafe(_ file: SourceFile) {
        for (number, text) in file.code where !Self.unsafeTargets.contains(file.target) {
            #expect(
                !text.contains(/\bunsafe\b/),
                "\(file.path):\(number): unsafe code belongs to \(Self.unsafeTargets.sorted())")
        }
        for (index, line) in file.lines.enumerated() {
            guard line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") else { continue }
            let around = file.lines[max(0, index - 2)...min(file.lines.count - 1, index + 2)]
            #expect(
                around.contains { $0.contains("// SAFETY:") },
                "\(file.path):\(index + 1): say why it is safe: // SAFETY: …")
        }
    }

    struct Ban: Sendable, CustomTestStringConvertible {
        let pattern: String
        let instead: String
        var except: Set<String> = []
        var testDescription: String { pattern }
    }

    static let bans = [
        Ban(pattern: #"\btry\?"#, instead: "handle the error: log it, count it or pass it on"),
        Ban(pattern: #"\btry!"#, instead: "handle the error"),
        Ban(pattern: #"\bprint\("#, instead: "log, or use Console"),
        Ban(
            pattern: #"\bfatalError\("#,
            instead: "throw; or preconditionFailure with a sentence for a programmer's error"),
        Ban(
            pattern: #"Task\.detached"#, instead: "Loop.spawn or offLoop",
            except: ["PomeloLoop/ProcessWideExecutor.swift"]),
        Ban(pattern: #"Task \{ @concurrent"#, instead: "offLoop"),
        Ban(pattern: #"\bDate\(\)"#, instead: "the application's clock"),
        Ban(pattern: #"ContinuousClock|SuspendingClock"#, instead: "the application's clock"),
        Ban(pattern: #"Task\.sleep"#, instead: "clock.sleep"),
        Ban(pattern: #"Task\.yield"#, instead: "Loop.yield"),
        Ban(pattern: #"\bUUID\(\)"#, instead: "the application's random source"),
        Ban(pattern: #"\.random\("#, instead: "the application's random source"),
        Ban(pattern: #"\b(TODO|FIXME|XXX)\b"#, instead: "finish it"),
        Ban(
            pattern: #"\[String ?:|Set<String>|Dictionary<String"#,
            instead: "Text: what a client, a peer or Redis names is compared by bytes", except: ownNames),
    ]

    /// Where strings that are keys come from this program's code, its configuration or its environment alone.
    static let ownNames: Set = [
        "Pomelo/ServerWorld.swift", "PomeloUV/ChildProcess.swift", "PomeloUV/Resolver.swift",
        "PomeloRedis/RedisConfiguration.swift", "PomeloRedis/RedisConnection.swift", "Admin/AdminService.swift",
        "Application/Application.swift", "Configuration/OptionReader.swift", "Configuration/ProcessArguments.swift",
        "Cron/CronService.swift", "Transaction/Transaction.swift", "Transaction/TransactionRun.swift",
        "PomeloTesting/FakeRedisCommands.swift", "PomeloTesting/FakeRedisState+Hashes.swift",
        "PomeloTesting/FakeRedisState+Keys.swift", "PomeloTesting/FakeRedisState+Sets.swift",
        "PomeloTesting/FakeRedisState+SortedSets.swift", "PomeloTesting/FakeRedisState+Streams.swift",
        "PomeloTesting/FakeRedisState+Strings.swift",
    ]

    @Test(arguments: bans)
    func banned(_ ban: Ban) throws {
        let pattern = try Regex(ban.pattern)
        for file in Project.sources where !ban.except.contains(where: { file.path.hasSuffix($0) }) {
            for (number, text) in file.code {
                #expect(!text.contains(pattern), "\(file.path):\(number): \(ban.instead)")
            }
        }
    }

    @Test func everyFileIsInTheTour() throws {
        let tour =
            try Project.text("ARCHITECTURE.md")
            + Project.sources.flatMap { $0.lines.prefix(12) }.joined(separator: "\n")
        for file in Project.sources {
            let name = file.path.split(separator: "/").last?.dropLast(6) ?? ""
            let short = name.split(separator: "+").last.map { name.contains("+") ? "+\($0)" : "\($0)" } ?? ""
            #expect(
                tour.contains(String(name)) || tour.contains(short),
                "\(file.path): name it in its target's reading order or in ARCHITECTURE.md's tour")
        }
    }

    /// What names this workplace's tools or machines has no place in the project.
    @Test func theProjectSpeaksOfItselfAlone() {
        let texts =
            ["Sources", "ChatPage", "Template", ".github"].flatMap {
                Project.files(in: $0, ["swift", "c", "h", "lua", "js", "html", "css", "json", "md", "yml"])
            }
            + Project.files(in: "Tests", ["swift", "mjs", "py", "md"]).filter { !$0.path.hasPrefix("Tests/TidyTests") }
        for file in texts {
            for (index, line) in file.lines.enumerated() {
                #expect(
                    !line.contains(/\.\.\/shared|\/work\/|spec §|seed [0-9]{3}/),
                    "\(file.path):\(index + 1): say it without outside pages")
            }
        }
    }
}
