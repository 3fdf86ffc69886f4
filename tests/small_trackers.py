"""Settings with which every tracker tracks in a moment, whether it finds its target or not."""

FEW = (
    "mode=float32,candidates=16,first_positives=16,first_negatives=64,positives=4,negatives=16,"
    "mining_pool=96,first_iterations=2,iterations=2,regression=false"
)
FILTERED = "mode=float32,side=112"
SPECIFICATIONS = {
    "deeptrack": "deeptrack:particles=50,first_negatives=150,first_steps=2,steps=1,lazy=false",
    "detection": f"detection:{FEW}",
    "dlst": f"dlst:{FEW},first_regions=8,batch_regions=2",
    "fdn": f"fdn:{FEW}",
    "hcf": f"hcf:{FILTERED}",
    "identity": "identity",
    "kcf": "kcf",
    "mdnet": f"mdnet:{FEW}",
    "msdat": f"msdat:{FILTERED}",
    "opencv": "opencv",
    "rtmdnet": f"rtmdnet:{FEW}",
}
