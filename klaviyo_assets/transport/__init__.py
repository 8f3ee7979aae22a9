"""How anything outside this process is reached: with time limits, and repeated only if that is safe."""
