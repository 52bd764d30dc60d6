// SPDX-License-Identifier: MIT
//
// Rooms have doors: what a type holds says what it works with, and that is not the whole application.
import Foundation
import Testing

@Suite struct RoomTests {
    /// Whose types hold applications, outside their own room: a cluster for tests is made of them.
    static let holders: Set = ["PomeloTesting/TestCluster.swift"]

    /// The application's own room, and users of the framework: their handlers may hold what they like.
    static let free = ["PomeloCore/Application/", "PomeloCommand/", "Chat/", "LessonChat/", "PipeChat/"]

    /// Lines that declare a property which is an application, or a collection of them; or a closure that keeps one.
    static func storesApplication(_ text: String) -> Bool {
        text.contains(/\b(let|var) \w+: *(\[(\w+: *)?)?Application\b/)
            || text.contains(/\b(unowned|weak) app(lication)?\b/)
    }

    static func holdings(of file: SourceFile) -> [Int] {
        file.code.filter { storesApplication($0.text) }.map(\.number)
    }

    @Test(arguments: Project.sources)
    func nobodyElseHoldsTheApplication(_ file: SourceFile) {
        let path = String(file.path.dropFirst("Sources/".count))
        guard !Self.free.contains(where: { path.hasPrefix($0) }) else { return }
        let found = Self.holdings(of: file)
        if Self.holders.contains(path) {
            #expect(!found.isEmpty, "\(file.path) holds no application any more: take it off the list")
        } else {
            #expect(
                found.isEmpty, "\(file.path):\(found): hand it what it works with, a ServiceContext or less")
        }
    }

    /// What breaks the check above, and what does not.
    @Test(arguments: [
        ("    private let application: Application", true),
        ("    private unowned let application: Application", true),
        ("    public weak var app: Application?", true),
        ("    var applications: [ServerID: Application] = [:]", true),
        ("    var applications: [Application] = []", true),
        ("        later = { [unowned application] in application.stop() }", true),
        ("    func install(into application: Application) throws {", false),
        ("    private let setUp: @Loop (Application) throws -> Void", false),
        ("        later = { [weak self, unowned context] in context.fail(error) }", false),
        ("    let context: ServiceContext  // not an application: Application", false),
    ])
    func aPropertyIsAHolding(_ line: String, _ isHolding: Bool) {
        let file = SourceFile(path: "Sources/PomeloStatus/Sample.swift", lines: [line])
        #expect(Self.holdings(of: file) == (isHolding ? [1] : []))
    }

    /// Stores, and the suites of rules for them, know whose entries they write, and nothing else of a server.
    static let stores = Project.sources.filter { file in
        ["Store.swift", "Suite.swift", "Store+", "Suite+", "ServerStarts.swift"].contains { file.path.contains($0) }
            && !file.path.contains("TransportSuite") && !file.path.contains("TestCluster+Stores")
    }

    static func namesServer(_ file: SourceFile) -> [Int] {
        file.code.filter { $0.text.contains(/\b(Application|TestCluster|ServiceContext)\b/) }.map(\.number)
    }

    @Test(arguments: stores)
    func aStoreNeedsNoApplication(_ file: SourceFile) {
        let found = Self.namesServer(file)
        #expect(found.isEmpty, "\(file.path):\(found): a store gets a StoreOwner")
    }

    /// The check above looks at the stores there are, and finds what it is to find.
    @Test func storesAreLookedAt() {
        for name in ["PublishedStore", "RedisChannelStore+CleanUp", "StatusStore", "ChannelStoreSuite+Instances"] {
            #expect(Self.stores.contains { $0.path.hasSuffix("/\(name).swift") })
        }
        let sample = SourceFile(
            path: "SampleStore.swift", lines: ["    func start(_ application: Application) async throws {}"])
        #expect(Self.namesServer(sample) == [1])
    }
}
