// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import Testing

@testable import PomeloGlobalChannel

/// A list of members that is read page by page while they come and go.
@Suite struct MemberRollTests {
    private func uid(_ number: UInt64) -> UserID { UserID("user-\(number)") }

    /// All pages, with something done behind each.
    private func pages(
        _ roll: inout MemberRoll, _ length: Int, between: (inout MemberRoll) -> Void = { _ in }
    ) -> [UserID] {
        var all: [UserID] = []
        var next: UInt64? = 0
        while let after = next {
            let page = roll.page(after: after, length: length)
            all += page.uids
            next = page.next
            between(&roll)
        }
        return all
    }

    @Test(arguments: 1...9) func everyMemberIsOnOnePageInTheOrderOfComing(length: Int) {
        var roll = MemberRoll()
        for number in 1...100 { roll.add(uid(UInt64(number)), number: UInt64(number)) }
        #expect(pages(&roll, length) == (1...100).map { uid($0) })
        for number in stride(from: UInt64(2), through: 100, by: 2) { roll.remove(number: number) }
        #expect(roll.count == 50)
        #expect(pages(&roll, length) == stride(from: UInt64(1), to: 100, by: 2).map { uid($0) })
    }

    @Test(arguments: 0..<20) func whoStaysIsListedOnceWhoeverComesAndGoes(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var roll = MemberRoll()
        var last: UInt64 = 300
        for number in 1...last { roll.add(uid(number), number: number) }
        var here = Set(1...last)
        let all = pages(&roll, 7) { roll in
            for _ in 0..<4 {
                if let gone = here.randomElement(using: &random) {
                    here.remove(gone)
                    roll.remove(number: gone)
                }
            }
            guard last < 340 else { return }
            last += 1
            roll.add(self.uid(last), number: last)
        }
        #expect(Set(all).count == all.count)
        let stayed = here.filter { $0 <= 300 }.map { uid($0) }
        #expect(Set(stayed).isSubset(of: all) && roll.count == here.count + Int(last) - 300)
    }
}
