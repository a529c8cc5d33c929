"""Matrix products of each instruction set, against the machine's peak measured in the same process."""

import argparse

from measure import BUILD, closing, output_of


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--all", action="store_true", help="every shape and format of weights, not 512x512x512 only")
    options = arguments.parse_args()
    limits = output_of(BUILD / "peaks")
    print(
        f"f32 peak: one thread {limits['flops_one'] / 1e9:.0f} GFLOP/s, "
        f"{limits['threads']} threads {limits['flops'] / 1e9:.0f}; reading memory {limits['read_bytes'] / 1e9:.1f} GB/s"
    )
    shapes = "" if options.all else "gemm/avx.*/f32/512x512x512/|stream/avx.*/i[48]/1x"
    result = output_of(BUILD / "gemm_bench", "--benchmark_format=json", f"--benchmark_filter={shapes}")
    rows = result["benchmarks"]
    print_streams([row for row in rows if "GB/s" in row], limits)
    print(f"{'product':46} {'GFLOP/s':>8} {'of peak':>8}")
    for row in rows:
        if "GFLOP/s" not in row:
            continue
        name = row["name"].removesuffix("/real_time").removeprefix("gemm/")
        print(f"{name:46} {row['GFLOP/s']:8.1f} {row['%peak']:7.0f}%")
        if "/f32/512x512x512/" in name and name.startswith("avx"):
            isa, _, _, threads = name.split("/")
            percent = row["%peak"]
            what = f"f32 product at 512³, {isa}, {threads.replace(':', ' ')}, of peak"
            closing(what, f"{percent:.0f} %", "≥ 60 %", percent >= 60)


def print_streams(rows, limits):
    """Few rows by weights that no cache holds: the packed bytes, scales among them, a second."""
    read = limits["read_bytes"] / 1e9
    print(f"{'few rows by a large weight':46} {'GB/s':>8} {'of reading':>10} {'ms':>7}")
    for row in rows:
        name = row["name"].removesuffix("/real_time").removeprefix("stream/")
        whole = name.endswith(f"threads:{limits['threads']}")
        percent = 100 * row["GB/s"] / read
        print(f"{name:46} {row['GB/s']:8.1f} {f'{percent:.0f}%' if whole else '-':>10} {row['ms']:7.2f}")
        if whole and "/1x" in name and ("/i4/" in name or "/i8/" in name):
            isa, bits, _, _ = name.split("/")
            closing(f"one row by {bits} weights, {isa}, of reading memory", f"{percent:.0f} %", "≥ 90 %", percent >= 90)


if __name__ == "__main__":
    main()
