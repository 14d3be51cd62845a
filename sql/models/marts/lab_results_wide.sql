with result as (
    select * from marts.lab_results
),

lab_unit as (
    select * from staging.seed_lab_unit
),

-- One row: the unit of each test, so that no group has to carry texts.
unit as (
    select
        max(case when concept_set = 'hba1c' then standard_unit end) as hba1c,
        max(case when concept_set = 'glucose' then standard_unit end) as glucose,
        max(case when concept_set = 'total_cholesterol' then standard_unit end) as total_cholesterol,
        max(case when concept_set = 'ldl_cholesterol' then standard_unit end) as ldl_cholesterol,
        max(case when concept_set = 'hdl_cholesterol' then standard_unit end) as hdl_cholesterol,
        max(case when concept_set = 'triglycerides' then standard_unit end) as triglycerides,
        max(case when concept_set = 'creatinine' then standard_unit end) as creatinine,
        max(case when concept_set = 'egfr' then standard_unit end) as egfr,
        max(case when concept_set = 'urea_nitrogen' then standard_unit end) as urea_nitrogen,
        max(case when concept_set = 'potassium' then standard_unit end) as potassium,
        max(case when concept_set = 'sodium' then standard_unit end) as sodium,
        max(case when concept_set = 'hemoglobin' then standard_unit end) as hemoglobin,
        max(case when concept_set = 'systolic_bp' then standard_unit end) as systolic_bp,
        max(case when concept_set = 'diastolic_bp' then standard_unit end) as diastolic_bp,
        max(case when concept_set = 'body_mass_index' then standard_unit end) as body_mass_index,
        max(case when concept_set = 'body_weight' then standard_unit end) as body_weight,
        max(case when concept_set = 'body_height' then standard_unit end) as body_height
    from lab_unit
),

day as (
    select
        person_id,
        measurement_date,
        avg(case when lab = 'hba1c' then lab_value end) as hba1c,
        avg(case when lab = 'glucose' then lab_value end) as glucose,
        avg(case when lab = 'total_cholesterol' then lab_value end) as total_cholesterol,
        avg(case when lab = 'ldl_cholesterol' then lab_value end) as ldl_cholesterol,
        avg(case when lab = 'hdl_cholesterol' then lab_value end) as hdl_cholesterol,
        avg(case when lab = 'triglycerides' then lab_value end) as triglycerides,
        avg(case when lab = 'creatinine' then lab_value end) as creatinine,
        avg(case when lab = 'egfr' then lab_value end) as egfr,
        avg(case when lab = 'urea_nitrogen' then lab_value end) as urea_nitrogen,
        avg(case when lab = 'potassium' then lab_value end) as potassium,
        avg(case when lab = 'sodium' then lab_value end) as sodium,
        avg(case when lab = 'hemoglobin' then lab_value end) as hemoglobin,
        avg(case when lab = 'systolic_bp' then lab_value end) as systolic_bp,
        avg(case when lab = 'diastolic_bp' then lab_value end) as diastolic_bp,
        avg(case when lab = 'body_mass_index' then lab_value end) as body_mass_index,
        avg(case when lab = 'body_weight' then lab_value end) as body_weight,
        avg(case when lab = 'body_height' then lab_value end) as body_height,
        count(*) as result_count,
        count(*) - count(lab_value) as unconverted_count
    from result
    group by person_id, measurement_date
),

final as (
    select
        day.person_id,
        day.measurement_date,
        day.hba1c,
        case when day.hba1c is not null then unit.hba1c end as hba1c_unit,
        day.glucose,
        case when day.glucose is not null then unit.glucose end as glucose_unit,
        day.total_cholesterol,
        case when day.total_cholesterol is not null then unit.total_cholesterol end as total_cholesterol_unit,
        day.ldl_cholesterol,
        case when day.ldl_cholesterol is not null then unit.ldl_cholesterol end as ldl_cholesterol_unit,
        day.hdl_cholesterol,
        case when day.hdl_cholesterol is not null then unit.hdl_cholesterol end as hdl_cholesterol_unit,
        day.triglycerides,
        case when day.triglycerides is not null then unit.triglycerides end as triglycerides_unit,
        day.creatinine,
        case when day.creatinine is not null then unit.creatinine end as creatinine_unit,
        day.egfr,
        case when day.egfr is not null then unit.egfr end as egfr_unit,
        day.urea_nitrogen,
        case when day.urea_nitrogen is not null then unit.urea_nitrogen end as urea_nitrogen_unit,
        day.potassium,
        case when day.potassium is not null then unit.potassium end as potassium_unit,
        day.sodium,
        case when day.sodium is not null then unit.sodium end as sodium_unit,
        day.hemoglobin,
        case when day.hemoglobin is not null then unit.hemoglobin end as hemoglobin_unit,
        day.systolic_bp,
        case when day.systolic_bp is not null then unit.systolic_bp end as systolic_bp_unit,
        day.diastolic_bp,
        case when day.diastolic_bp is not null then unit.diastolic_bp end as diastolic_bp_unit,
        day.body_mass_index,
        case when day.body_mass_index is not null then unit.body_mass_index end as body_mass_index_unit,
        day.body_weight,
        case when day.body_weight is not null then unit.body_weight end as body_weight_unit,
        day.body_height,
        case when day.body_height is not null then unit.body_height end as body_height_unit,
        day.result_count,
        day.unconverted_count
    from day
    cross join unit
)

select * from final
