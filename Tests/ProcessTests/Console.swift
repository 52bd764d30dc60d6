// SPDX-License-Identifier: MIT
import Foundation

enum Console {
    /// For the one who runs the tests; a figure is no verdict.
    static func figure(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
}
