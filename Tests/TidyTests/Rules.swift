// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// The rules of ARCHITECTURE.md, "House rules", that a compiler does not check.
///
/// Each is given sources and returns what is wrong with them; `RuleTests` shows one that it finds fault with.
enum Rules {
    /// Where memory may be touched by hand.
    static let unsafeTargets: Set = [
        "PomeloLoop", "PomeloUV", "PomeloDeflate", "PomeloTLS", "PomeloRedis", "PomeloSyncSQLite",
        "PomeloSyncPostgres",
    ]

    static func lengths(_ file: SourceFile) -> [String] {
        var faults: [String] = []
        if file.lines.count > 401 { faults.append("\(file.path): split it by topic, no file is longer than 400 lines") }
        for (index, line) in file.lines.enumerated() where line.count > 120 {
            faults.append("\(file.path):\(index + 1): break the line")
        }
        if file.lines.first != "// SPDX-License-Identifier: MIT" {
            faults.append("\(file.path): begin with the licence line")
        }
        return faults
    }

    static func functions(_ file: SourceFile) -> [String] {
        var faults: [String] = []
        var starts: [(indent: Int, line: Int)] = []
        for (number, text) in file.code {
            let indent = text.prefix { $0 == " " }.count
            if text.hasSuffix("{") || text.hasSuffix("("), text.contains(/\b(func |init[?(<]|subscript)/) {
                starts.append((indent, number))
            }
            if text.trimmingCharacters(in: .whitespaces) == "}", let start = starts.last, start.indent == indent {
                starts.removeLast()
                if number - start.line > 60 {
                    faults.append(
                        "\(file.path):\(start.line): extract a part, no function is longer than 60 lines")
                }
            }
        }
        return faults
    }

    static func imports(_ file: SourceFile, _ table: LayerTable) -> [String] {
        guard let allowed = table.allowed[file.target] else {
            return ["\(file.path): \(file.target) has no row in ARCHITECTURE.md's layer table: add it"]
        }
        return file.code.filter { $0.text.contains("import ") }.compactMap { number, text in
            guard let match = text.firstMatch(of: /^ *(?:@\w+ )*(?:public |package |internal |private )?import (\w+)/)
            else { return nil }
            let module = String(match.1)
            return allowed.contains(module)
                ? nil : "\(file.path):\(number): not in the layer table: \(file.target) imports \(module)"
        }
    }

    static func memory(_ file: SourceFile) -> [String] {
        var faults: [String] = []
        for (number, text) in file.code where !unsafeTargets.contains(file.target) && text.contains(/\bunsafe\b/) {
            faults.append("\(file.path):\(number): unsafe code belongs to \(unsafeTargets.sorted())")
        }
        for (index, line) in file.lines.enumerated() {
            guard line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)") else { continue }
            let around = file.lines[max(0, index - 2)...min(file.lines.count - 1, index + 2)]
            if !around.contains(where: { $0.contains("// SAFETY:") }) {
                faults.append("\(file.path):\(index + 1): say why it is safe: // SAFETY: …")
            }
        }
        return faults
    }

    /// What names this workplace's tools or machines has no place in the project.
    static func outsidePages(_ file: SourceFile) -> [String] {
        // A regular expression takes long: it looks only where one of its words is.
        file.lines.enumerated().compactMap { index, line in
            ["/shared", "/work/", "spec §", "seed "].contains(where: line.contains)
                && line.contains(/\.\.\/shared|\/work\/|spec §|seed [0-9]{3}/)
                ? "\(file.path):\(index + 1): say it without outside pages" : nil
        }
    }

    /// The tour names every file in backticks, `Name` or, behind a file of the same type, `+Part`.
    static func tour(_ files: [SourceFile], of architecture: String) -> [String] {
        let rows = architecture.components(separatedBy: "## A tour in reading order").last ?? ""
        let tour = rows.components(separatedBy: "\n## ").first ?? ""
        let names = Set(tour.matches(of: /`([\w+]+)`/).map { String($0.1) })
        return files.compactMap { file in
            let part = file.name.split(separator: "+").dropFirst().last.map { "+\($0)" }
            let isNamed = names.contains(file.name) || part.map(names.contains) ?? false
            return isNamed ? nil : "\(file.path): name it in ARCHITECTURE.md's tour"
        }
    }
}

/// A way of writing that is not ours.
struct Ban: Sendable, CustomTestStringConvertible {
    let pattern: String
    let instead: String
    /// A line that the ban is to find.
    let sample: String
    var except: Set<String> = []
    var testDescription: String { pattern }

    func faults(_ file: SourceFile) throws -> [String] {
        guard !except.contains(where: { file.path.hasSuffix($0) }) else { return [] }
        let regex = try Regex(pattern)
        return file.code.filter { $0.text.contains(regex) }.map { "\(file.path):\($0.number): \(instead)" }
    }
}

extension Ban {
    static let all = [
        Ban(
            pattern: #"\btry\?"#, instead: "handle the error: log it, count it or pass it on",
            sample: "let value = try? read()"),
        Ban(pattern: #"\btry!"#, instead: "handle the error", sample: "let value = try! read()"),
        Ban(pattern: #"\bprint\("#, instead: "log, or use Console", sample: "print(1)", except: ["RedisVisits.swift"]),
        Ban(
            pattern: #"\bfatalError\("#,
            instead: "throw; or preconditionFailure with a sentence for a programmer's error", sample: "fatalError()"),
        Ban(
            pattern: #"Task\.detached"#, instead: "Loop.spawn or offLoop", sample: "Task.detached { work() }",
            except: ["PomeloLoop/ProcessWideExecutor.swift"]),
        Ban(pattern: #"Task \{ @concurrent"#, instead: "offLoop", sample: "Task { @concurrent in work() }"),
        Ban(pattern: #"\bDate\(\)"#, instead: "the application's clock", sample: "let now = Date()"),
        Ban(
            pattern: #"ContinuousClock|SuspendingClock"#, instead: "the application's clock",
            sample: "let now = ContinuousClock.now"),
        Ban(pattern: #"Task\.sleep"#, instead: "clock.sleep", sample: "await Task.sleep(for: pause)"),
        Ban(pattern: #"Task\.yield"#, instead: "Loop.yield", sample: "await Task.yield()"),
        Ban(
            pattern: #"Continuation(\(| )\{ *[\w.]+(\.append\(\$0\)| = \$0) *\}"#,
            instead: "decide in the body whether to wait: a task may be suspended on its way there",
            sample: "await withCheckedContinuation { waiters.append($0) }"),
        Ban(pattern: #"\bUUID\(\)"#, instead: "the application's random source", sample: "let id = UUID()"),
        Ban(pattern: #"\.random\("#, instead: "the application's random source", sample: "Int.random(in: 0..<9)"),
        Ban(pattern: #"\b(TODO|FIXME|XXX)\b"#, instead: "finish it", sample: "case TODO"),
        Ban(
            pattern: #"\[String ?:|Set<String>|Dictionary<String"#,
            instead: "Text: what a client, a peer or Redis names is compared by bytes",
            sample: "var sessions: [String: Int] = [:]", except: ownNames),
    ]

    /// Where strings that are keys come from this program's code, its configuration or its environment alone.
    static let ownNames: Set = [
        "Pomelo/ServerWorld.swift", "PomeloUV/ChildProcess.swift", "PomeloUV/Resolver.swift",
        "PomeloUV/ThisProcess.swift", "PomeloSupervision/SupervisorState.swift",
        "PomeloSupervision/Supervisor.swift", "PomeloCommand/Start.swift", "PomeloCommand/ServerPlans.swift",
        "PomeloSupervision/FarProcess.swift", "PomeloLoop/LoopProfile.swift",
        "PomeloRedis/Address/RedisConfiguration.swift", "PomeloRedis/Connection/RedisConnection.swift",
        "Admin/AdminService.swift",
        "Application/Application.swift", "PomeloConfiguration/OptionReader.swift",
        "PomeloConfiguration/ProcessArguments.swift", "PomeloConfiguration/EnvironmentVariables.swift",
        "PomeloConfiguration/FileVariables.swift",
        "PomeloCron/CronService.swift", "Transaction/Transaction.swift", "Transaction/TransactionRun.swift",
        "FakeRedis/FakeRedisCommands.swift", "FakeRedis/FakeRedisState+Hashes.swift",
        "FakeRedis/FakeRedisState+Keys.swift", "FakeRedis/FakeRedisState+Sets.swift",
        "FakeRedis/FakeRedisState+SortedSets.swift", "FakeRedis/FakeRedisState+Streams.swift",
        "FakeRedis/FakeRedisState+Strings.swift",
    ]
}
