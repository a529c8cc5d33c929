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
    shapes = "" if options.all else "avx.*/f32/512x512x512/"
    result = output_of(BUILD / "gemm_bench", "--benchmark_format=json", f"--benchmark_filter={shapes}")
    print(f"{'product':46} {'GFLOP/s':>8} {'of peak':>8}")
    for row in result["benchmarks"]:
        name = row["name"].removesuffix("/real_time").removeprefix("gemm/")
        print(f"{name:46} {row['GFLOP/s']:8.1f} {row['%peak']:7.0f}%")
        if "/f32/512x512x512/" in name and name.startswith("avx"):
            isa, _, _, threads = name.split("/")
            percent = row["%peak"]
            what = f"f32 product at 512³, {isa}, {threads.replace(':', ' ')}, of peak"
            closing(what, f"{percent:.0f} %", "≥ 60 %", percent >= 60)


if __name__ == "__main__":
    main()
