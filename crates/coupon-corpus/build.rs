//! Compiles the bridge to ISA-L where the feature asks for it.

fn main() {
    println!("cargo::rerun-if-changed=src/decode/isal.c");
    #[cfg(feature = "isal")]
    {
        cc::Build::new().file("src/decode/isal.c").compile("coupon_corpus_isal");
        println!("cargo::rustc-link-lib=isal");
    }
}
