"""Design motifs: what good architectures have in common, against random ones (section 6.1)."""

from nasrec_opt.motifs._comparison import MotifRow, compare_with_random
from nasrec_opt.motifs._motifs import MOTIFS, Motif, motifs_of

__all__ = ["MOTIFS", "Motif", "MotifRow", "compare_with_random", "motifs_of"]
