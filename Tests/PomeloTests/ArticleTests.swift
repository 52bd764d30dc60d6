// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// The documentation against the code: symbols that exist, symbols that are told of, excerpts that stand there.
@Suite struct ArticleTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    private static let catalogue = root + "/Sources/Pomelo/Pomelo.docc"

    /// Types whose every member has a row or stands in the list of what is new.
    private static let covered: Set<String> = [
        "Application", "Session", "SessionService", "ClientSession", "BackendSessionService", "ChannelService",
        "Channel", "PushReport", "PushSchedulers",
    ]

    /// What pomelo's API reference and plugin guide name.
    private static let reference = [
        "getBase", "filter", "before", "after", "globalFilter", "globalBefore", "globalAfter", "rpcBefore", "rpcAfter",
        "rpcFilter", "load", "loadConfig", "route", "beforeStopHook", "start", "set", "get", "enabled", "disabled",
        "enable", "disable", "configure", "registerAdmin", "use", "transaction", "getMaster", "getCurServer",
        "getServerId", "getServerType", "getServers", "getServersFromConfig", "getServerTypes", "getServerById",
        "getServerFromConfig", "getServersByType", "isFrontend", "isBackend", "isMaster", "addServers",
        "removeServers", "replaceServers", "addCrons", "removeCrons", "getByUid", "kickBySid", "kickByUid", "bind",
        "unbind", "push", "pushAll", "createChannel", "getChannel", "destroyChannel", "pushMessageByUids",
        "broadcast", "add", "leave", "getMembers", "getMember", "destroy", "pushMessage", "kick", "kickBySessionId",
        "createApp", "add_servers", "remove_servers", "replace_servers", "bind_session", "close_session",
        "unbind_session", "rpcInvoke",
    ]

    /// What `import Pomelo` brings.
    private static let reexported = [
        "PomeloCore", "PomeloConnectors", "PomeloLoop", "PomeloRPC", "PomeloWire", "PomeloJSON", "PomeloBytes",
        "PomeloContract", "PomeloConfiguration", "PomeloCron", "PomeloTLS",
    ]

    private static func article(_ name: String) throws -> String {
        try String(contentsOfFile: "\(catalogue)/\(name).md", encoding: .utf8)
    }

    // MARK: the table

    @Test func everyApiOfTheReferenceHasARow() throws {
        let rows = try Self.article("From-pomelo-to-Swift").split(separator: "\n").filter { $0.hasPrefix("| ") }
        let names = rows.map { row in String(row.split(separator: "|", omittingEmptySubsequences: true)[0]) }
        for api in Self.reference {
            let pattern = try Regex("(^|[^A-Za-z_])\(api)([^A-Za-z_]|$)")
            #expect(names.contains { $0.contains(pattern) }, "no row for \(api)")
        }
    }

    @Test func everyRowNamesSymbolsThatExistAndEverySymbolIsTold() throws {
        let text = try Self.article("From-pomelo-to-Swift")
        let symbols = try SymbolGraph.symbols(of: "Pomelo", with: Self.reexported)
        let plugins = try ["PomeloGlobalChannel", "PomeloStatus", "PomeloSync"].reduce(into: Set<String>()) {
            $0.formUnion(try SymbolGraph.symbols(of: $1))
        }
        // What follows an arrow tells overloads apart.
        let linked = Set(text.matches(of: /``([^`]+?)(?:-(?:>\w+|\([^`]+\)))?``/).map { String($0.1) })
        #expect(linked.count > 150)
        for link in linked.sorted() { #expect(symbols.contains(link), "there is no \(link)") }
        let told = text.matches(of: /`((?:GlobalChannelService|StatusService|Sync\w*|MemoryStore)\/[^`]+)`/).map {
            String($0.1)
        }
        #expect(told.count >= 50)
        for link in told { #expect(plugins.contains(link), "there is no \(link)") }
        let rest = symbols.filter { symbol in
            let parts = symbol.split(separator: "/")
            return parts.count == 2 && Self.covered.contains(String(parts[0])) && !linked.contains(symbol)
        }
        #expect(rest.isEmpty, "neither in a row nor new: \(rest.sorted().joined(separator: ", "))")
    }

    /// Links that lead nowhere, articles that nobody links, symbols told twice: the converter warns of them.
    @Test func theCatalogueConvertsWithoutAWarning() throws {
        let folder = NSTemporaryDirectory() + "pomelo-catalogue-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try SymbolGraph.extract("Pomelo", with: Self.reexported, into: folder + "/symbols")
        let converter = try Tool.run(
            "docc", "convert", Self.catalogue, "--additional-symbol-graph-dir", folder + "/symbols",
            "--fallback-display-name", "Pomelo", "--fallback-bundle-identifier", "pomelo", "--warnings-as-errors",
            "--output-path", folder + "/archive")
        #expect(converter.status == 0, "\(converter.output)")
    }

    // MARK: excerpts

    /// Articles whose code must stand, line by line, in these files.
    static let sources: [String: [String]] = [
        "A-lesson-chat-step-by-step": [
            "Sources/LessonChat/LessonAPI.swift", "Sources/LessonChat/LessonChat.swift",
            "Sources/LessonChat/LessonHandlers.swift", "config/lesson/servers.json",
        ],
        "Keep-state": ["Tests/PomeloSyncSQLiteTests/KeepStateArticleTests.swift"],
        "Writing-a-plugin": ["Tests/PomeloCoreTests/PluginTests.swift"],
        "Write-a-connector": [
            "Sources/PipeChat/PipeConnector.swift", "Sources/PipeChat/PipeChat.swift",
            "Tests/PomeloConnectorsTests/CustomConnectorTests.swift",
            "Tests/PomeloConnectorsTests/ConnectorSuiteTests.swift",
            "Tests/PomeloConnectorsTests/CodecConnectorTests.swift",
        ],
    ]

    @Test(arguments: sources.keys.sorted()) func whatIsShownIsTheCode(_ name: String) throws {
        let files = try #require(Self.sources[name]).map { file in
            try String(contentsOfFile: "\(Self.root)/\(file)", encoding: .utf8)
        }
        func trimmed(_ line: Substring) -> String { line.trimmingCharacters(in: .whitespaces) }
        let lines = Set(files.flatMap { $0.split(separator: "\n").map(trimmed) })
        let blocks = try Self.article(name).matches(of: /```swift\n((?:.|\n)*?)```/)
        #expect(blocks.count >= 5)
        for line in blocks.flatMap({ $0.1.split(separator: "\n") }) {
            let isThere = lines.contains { $0 == trimmed(line) || $0.hasSuffix(trimmed(line)) }
            #expect(isThere, "not in the code: \(line)")
        }
    }
}
