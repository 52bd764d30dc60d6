// SPDX-License-Identifier: MIT
import Testing

/// Every rule finds fault with a source that breaks it, and none with the same source mended: a check that cannot fail
/// shows nothing.
@Suite struct RuleTests {
    private static let licence = "// SPDX-License-Identifier: MIT"

    private func file(_ path: String, _ lines: [String]) -> SourceFile {
        SourceFile(path: path, lines: [Self.licence] + lines)
    }

    private func file(_ lines: [String]) -> SourceFile { file("Sources/PomeloWire/Packet.swift", lines) }

    @Test func aLongFileALongLineAndAMissingLicenceAreFound() {
        #expect(Rules.lengths(file(Array(repeating: "", count: 401))).count == 1)
        #expect(Rules.lengths(file([String(repeating: "x", count: 121)])).count == 1)
        #expect(Rules.lengths(SourceFile(path: "a.swift", lines: ["import A"])).count == 1)
        #expect(Rules.lengths(file([String(repeating: "x", count: 120)])).isEmpty)
    }

    @Test func aLongFunctionIsFound() {
        let body = { (lines: Int) in
            ["    func walk() {"] + Array(repeating: "        step()", count: lines) + ["    }"]
        }
        #expect(Rules.functions(file(body(60))).count == 1)
        #expect(Rules.functions(file(body(59))).isEmpty)
    }

    @Test func anImportThatTheTableLacksIsFound() {
        let table = LayerTable("| L1 | `PomeloWire` | what travels | `PomeloBytes` `PomeloJSON` |")
        for line in ["import PomeloCore", "public import PomeloCore", "@testable import PomeloCore", "import Glibc"] {
            #expect(Rules.imports(file([line]), table).count == 1, "\(line)")
        }
        #expect(Rules.imports(file(["public import PomeloBytes", "import PomeloJSON"]), table).isEmpty)
        #expect(Rules.imports(file("Sources/Nowhere/A.swift", []), table).count == 1)
    }

    @Test func unsafeCodeOutsideTheRimsIsFound() {
        #expect(Rules.memory(file(["    unsafe pointer.pointee"])).count == 1)
        #expect(Rules.memory(file("Sources/PomeloUV/A.swift", ["    unsafe pointer.pointee"])).isEmpty)
        #expect(Rules.memory(file(["final class Box: @unchecked Sendable {"])).count == 1)
        #expect(Rules.memory(file(["// SAFETY: one thread", "final class Box: @unchecked Sendable {"])).isEmpty)
    }

    @Test(arguments: Ban.all) func whatIsBannedIsFound(_ ban: Ban) throws {
        #expect(try ban.faults(file([ban.sample])).count == 1)
        #expect(try ban.faults(file(["// " + ban.sample])).isEmpty)
        for path in ban.except { #expect(try ban.faults(file("Sources/" + path, [ban.sample])).isEmpty) }
    }

    /// The rows of the tour count; another chapter's mention of the file, or a longer name with it inside, does not.
    @Test func aFileThatTheTourLacksIsFound() {
        let packet = file([])
        let chapters = { (row: String) in "`Packet`\n## A tour in reading order\n\(row)\n## Vocabulary\n`Packet`" }
        #expect(Rules.tour([packet], of: chapters("| `PomeloWire` | `PacketDecoder` |")).count == 1)
        #expect(Rules.tour([packet], of: chapters("| `PomeloWire` | `Packet` |")).isEmpty)
        let part = file("Sources/PomeloWire/Packet+Reading.swift", [])
        #expect(Rules.tour([part], of: chapters("| `PomeloWire` | `Packet` |")).count == 1)
        #expect(Rules.tour([part], of: chapters("| `PomeloWire` | `Packet`, `+Reading` |")).isEmpty)
    }

    @Test func aDeclarationThatNothingNamesIsFound() {
        let source = file(["func walk() {}", "// walk is walked"])
        #expect(Names.unused([source], users: []).count == 1)
        #expect(Names.unused([source], users: [file("Tests/A.swift", ["walk()"])]).isEmpty)
    }

    @Test func aFileThatHoldsSomethingElseIsFound() {
        let head = { (name: String) in self.file("Sources/PomeloWire/\(name).swift", ["public struct MessageHead {"]) }
        #expect(Names.misleading(head("MessageCodec")).count == 1)
        for name in ["MessageHead", "MessageHeads", "Message", "MessageHead+Parts"] {
            #expect(Names.misleading(head(name)).isEmpty, "\(name)")
        }
    }

    @Test func aWorkplacesPageIsFound() {
        #expect(Rules.outsidePages(file(["/// See ../" + "shared/DESIGN.md"])).count == 1)
        #expect(Rules.outsidePages(file(["/// See ARCHITECTURE.md"])).isEmpty)
    }
}
