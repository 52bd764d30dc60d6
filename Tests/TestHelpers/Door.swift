// SPDX-License-Identifier: MIT
package import PomeloLoop

/// Something that calls wait at until the test lets them go on.
@Loop package final class Door {
    private var waiting: [CheckedContinuation<Void, Never>] = []
    package private(set) var isOpen = false
    package var count: Int { waiting.count }

    package init() {}

    package func pass() async {
        await withCheckedContinuation { if isOpen { $0.resume() } else { waiting.append($0) } }
    }

    package func open() {
        isOpen = true
        let all = waiting
        waiting = []
        for one in all { one.resume() }
    }

    package func letOneThrough() {
        if !waiting.isEmpty { waiting.removeFirst().resume() }
    }
}
