// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloSync

/// What a journal's part takes besides the values that wait.
@Suite @Loop struct JournalChangesTests {
    private static func part() -> JournalPart { JournalPart("journal") }

    private static func field(_ number: Int) -> Bytes { Array("\(number)".utf8) }

    @Test func aPartIsBounded() {
        var changes = JournalChanges()
        for number in 0..<10_000 { changes.remove(Self.field(number)) }
        for number in 0..<40 { changes.keep(Self.field(number), Bytes(repeating: 1, count: 100_000)) }
        var (parts, removed, letters) = (0, [Bytes](), Set<Bytes>())
        while !changes.isEmpty {
            var part = Self.part()
            changes.move(into: &part)
            #expect(part.removed.count <= 4096 && part.letters.count <= 11)
            #expect(part.isFull || changes.isEmpty)
            parts += 1
            removed += part.removed
            letters.formUnion(part.letters.map(\.field))
        }
        #expect(parts == 6, "\(parts)")
        #expect(removed == (0..<10_000).map(Self.field) && letters.count == 40)
    }

    @Test func aLaterChangeStandsAndAllAreTold() {
        var changes = JournalChanges()
        var told: [String] = []
        changes.keep([1], [1]) { told.append("kept") }
        var part = Self.part()
        changes.move(into: &part)
        changes.drop([1])
        changes.remove([2])
        changes.putBack(part)
        var again = Self.part()
        changes.move(into: &again)
        #expect(changes.isEmpty && again.letters.count == 1 && again.letters[0].value == nil)
        for then in again.letters[0].kept { then() }
        #expect(told == ["kept"] && again.removed == [[2]])
    }
}
