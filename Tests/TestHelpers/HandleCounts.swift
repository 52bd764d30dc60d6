// SPDX-License-Identifier: MIT
package import CLibuv
import PomeloLoop

/// How many open handles of each type the loop owns.
@Loop package func handleCounts() -> [uv_handle_type.RawValue: Int] {
    guard let driver = EventLoop.shared.uv else { return [:] }
    var counts: [uv_handle_type.RawValue: Int] = [:]
    unsafe withUnsafeMutablePointer(to: &counts) { counts in
        unsafe uv_walk(
            driver.loop,
            { handle, counts in
                guard let handle = unsafe handle, let counts = unsafe counts else { return }
                let type = unsafe handle.pointee.type.rawValue
                unsafe counts.assumingMemoryBound(to: [uv_handle_type.RawValue: Int].self).pointee[
                    type, default: 0] += 1
            }, counts)
    }
    return counts
}
