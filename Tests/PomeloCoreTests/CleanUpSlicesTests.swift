// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication
import TestHelpers
import Testing

/// How long a cleaner works before it looks whether it still is one.
@Suite struct CleanUpSlicesTests {
    struct Lost: Error {}

    @Test(arguments: [0, 1, 49, 50, 51, 100, 101, 1234])
    @Loop func noMoreThanFiftyEntriesBetweenTwoLooks(count: Int) async throws {
        let journal = Journal<String>()
        try await CleanUpSlices.run(Array(0..<count), { journal.note("look") }) { slice in
            journal.note("\(slice.count)")
        }
        let slices = journal.entries.filter { $0 != "look" }.compactMap { Int($0) }
        #expect(slices.reduce(0, +) == count && slices.allSatisfy { $0 <= 50 })
        #expect(journal.entries.count { $0 == "look" } == slices.count)
        #expect(count == 0 || journal.entries.first == "look")
    }

    /// The look for the next slice runs beside the work, and is waited for.
    @Test(arguments: 1...4) @Loop func aLostTokenStopsAtOnce(look: Int) async throws {
        let journal = Journal<String>()
        let looks = Journal<String>()
        await #expect(throws: Lost.self) {
            try await CleanUpSlices.run(
                Array(0..<200),
                {
                    looks.note("look")
                    let number = looks.entries.count
                    for _ in 0..<20 { await Loop.yield() }
                    if number == look { throw Lost() }
                },
                { _ in journal.note("slice") })
        }
        #expect(journal.entries.count == look - 1)
    }

    @Test @Loop func anErrorOfTheWorkEndsIt() async throws {
        let journal = Journal<String>()
        await #expect(throws: Lost.self) {
            try await CleanUpSlices.run(Array(0..<200), {}) { _ in
                journal.note("slice")
                if journal.entries.count == 2 { throw Lost() }
            }
        }
        #expect(journal.entries.count == 2)
    }
}
