// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// The source itself, held to `Rules` and `Names`.
@Suite struct TidyTests {
    @Test func filesAreShort() { expectNone((Project.sources + Project.tests).flatMap(Rules.lengths)) }

    @Test func functionsAreShort() { expectNone(Project.sources.flatMap(Rules.functions)) }

    @Test func importsFollowTheLayerTable() throws {
        let table = LayerTable(try Project.text("ARCHITECTURE.md"))
        expectNone(Project.sources.flatMap { Rules.imports($0, table) })
    }

    @Test func onlyTheRimsAreUnsafe() { expectNone(Project.sources.flatMap(Rules.memory)) }

    @Test(arguments: Ban.all) func banned(_ ban: Ban) throws { expectNone(try Project.sources.flatMap(ban.faults)) }

    @Test func everyFileIsInTheTour() throws {
        expectNone(Rules.tour(Project.sources, of: try Project.text("ARCHITECTURE.md")))
    }

    @Test func everyDeclarationIsUsed() {
        expectNone(Names.unused(Project.sources, users: Project.tests + Project.files(in: "Benchmarks/Sources")))
    }

    @Test func filesAreCalledWhatTheyHold() { expectNone(Project.sources.flatMap(Names.misleading)) }

    @Test func theProjectSpeaksOfItselfAlone() {
        let texts =
            ["Sources", "ChatPage", "Template", ".github"].flatMap {
                Project.files(in: $0, ["swift", "c", "h", "lua", "js", "html", "css", "json", "md", "yml"])
            }
            + Project.files(in: "Tests", ["swift", "mjs", "py", "md"]).filter { !$0.path.hasPrefix("Tests/TidyTests") }
        expectNone(texts.flatMap(Rules.outsidePages))
    }

    private func expectNone(_ faults: [String], at place: Testing.SourceLocation = #_sourceLocation) {
        for fault in faults { Issue.record(Comment(rawValue: fault), sourceLocation: place) }
    }
}
