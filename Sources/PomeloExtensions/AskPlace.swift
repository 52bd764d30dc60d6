// SPDX-License-Identifier: MIT
import PomeloBytes

/// Where questions keep their order: a point and a key of it.
struct AskPlace: Hashable {
    let point: ExtensionPoint
    let key: Text

    init(_ point: ExtensionPoint, _ key: String) {
        self.point = point
        self.key = Text(key)
    }
}
